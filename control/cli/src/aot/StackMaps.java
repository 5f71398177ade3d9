import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Enumeration;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Opcodes;

/**
 * Gives the classes of a jar the stack maps of Java 8 (JVMS 4.7.4), in place.
 *
 * <p>picocli is compiled for Java 5. The ahead-of-time cache takes no class older than Java 6, because it cannot verify
 * one beforehand, so every command and the daemon's start would load, parse and verify 200 classes anew: 30 ms of an idle
 * machine, several times that beside the load that a daemon starts under after a crash. Nothing but the class file's form
 * changes. Run by the build; a jar that has been through it stays as it is.
 *
 * <p>Usage: {@code java -cp asm.jar StackMaps.java JAR}
 */
final class StackMaps {
    private static final int OLDEST = Opcodes.V1_8;

    private StackMaps() {}

    public static void main(final String[] arguments) throws IOException {
        final Path jar = Path.of(arguments[0]);
        final Path made = jar.resolveSibling(jar.getFileName() + ".new");
        try (JarFile in = new JarFile(jar.toFile());
                URLClassLoader classes = new URLClassLoader(new URL[] {jar.toUri().toURL()});
                JarOutputStream out = new JarOutputStream(Files.newOutputStream(made))) {
            for (final Enumeration<JarEntry> entries = in.entries(); entries.hasMoreElements(); ) {
                final JarEntry entry = entries.nextElement();
                final byte[] content = in.getInputStream(entry).readAllBytes();
                final JarEntry copy = new JarEntry(entry.getName());
                // The same jar for the same input.
                copy.setTime(0);
                out.putNextEntry(copy);
                out.write(entry.getName().endsWith(".class") ? withStackMaps(content, classes) : content);
                out.closeEntry();
            }
        }
        Files.move(made, jar, StandardCopyOption.REPLACE_EXISTING);
    }

    private static byte[] withStackMaps(final byte[] content, final ClassLoader classes) {
        final ClassReader reader = new ClassReader(content);
        if ((reader.readShort(6) & 0xffff) >= OLDEST) {
            return content;
        }
        final ClassWriter writer =
                new ClassWriter(ClassWriter.COMPUTE_FRAMES) {
                    @Override
                    protected ClassLoader getClassLoader() {
                        return classes;
                    }
                };
        reader.accept(
                new ClassVisitor(Opcodes.ASM9, writer) {
                    @Override
                    public void visit(
                            final int version,
                            final int access,
                            final String name,
                            final String signature,
                            final String superName,
                            final String[] interfaces) {
                        super.visit(OLDEST, access, name, signature, superName, interfaces);
                    }
                },
                ClassReader.SKIP_FRAMES);
        return writer.toByteArray();
    }
}
