package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.BiFunction;

/**
 * Reads manifests: YAML or JSON text to objects and problems.
 *
 * <p>Policy kinds are read strictly: a field that is unknown, of the wrong type or of a value out
 * of range refuses the object, because a restriction that is skipped silently lets traffic through
 * that its author believes stopped. Kinds that describe the world (pods, nodes, services) have
 * hundreds of fields that policy never looks at; of those only {@code metadata} and the fields used
 * are checked. Objects that could not restrict traffic anyhow (deployments, config maps, kinds of
 * other projects) are left out with a warning, so that a folder made for a cluster can be used as
 * it is; an unknown kind in a group that holds policies is an error.
 *
 * <p>All problems are reported, not the first only ({@link ProblemList} bounds their number), and
 * an object with an error is left out whole.
 *
 * <p>Thread: any, stateless.
 */
public final class ManifestReader {
    /** What an object becomes. */
    private record Kind(
            String group,
            Set<String> versions,
            String name,
            boolean namespaced,
            BiFunction<ObjectMeta, Fields, ? extends KubeObject> reader) {
        /** The name in an {@link ObjectRef}; Kubernetes and Calico both have a NetworkPolicy. */
        String refKind() {
            return group.equals(CALICO_GROUP) && name.equals("NetworkPolicy")
                    ? name + "." + group
                    : name;
        }

        String apiVersions() {
            return String.join(
                    " or ",
                    versions.stream()
                            .sorted()
                            .map(version -> group.isEmpty() ? version : group + "/" + version)
                            .toList());
        }
    }

    private static final String CALICO_GROUP = "projectcalico.org";

    /** Group under which a cluster without Calico's API server keeps the same objects. */
    private static final String CALICO_STORAGE_GROUP = "crd.projectcalico.org";

    private static final List<Kind> KINDS =
            List.of(
                    world("", "Namespace", false, (meta, _) -> new KubeObject.Namespace(meta)),
                    world("", "Pod", true, ManifestReader::readPod),
                    world("", "Node", false, ManifestReader::readNode),
                    world(
                            "",
                            "ServiceAccount",
                            true,
                            (meta, _) -> new KubeObject.ServiceAccount(meta)),
                    world("", "Service", true, ManifestReader::readService),
                    world("", "Secret", true, SecretReader::read),
                    world(
                            "discovery.k8s.io",
                            "EndpointSlice",
                            true,
                            ManifestReader::readEndpointSlice),
                    new Kind(
                            "networking.k8s.io",
                            Set.of("v1"),
                            "NetworkPolicy",
                            true,
                            NetworkPolicyReader::read),
                    new Kind(
                            "cilium.io",
                            Set.of("v2"),
                            "CiliumNetworkPolicy",
                            true,
                            CiliumPolicyReader::read),
                    new Kind(
                            "cilium.io",
                            Set.of("v2"),
                            "CiliumClusterwideNetworkPolicy",
                            false,
                            CiliumPolicyReader::read),
                    new Kind(
                            "cilium.io",
                            Set.of("v2", "v2alpha1"),
                            "CiliumCIDRGroup",
                            false,
                            ManifestReader::readCidrGroup),
                    new Kind(
                            "policy.networking.k8s.io",
                            Set.of("v1alpha1"),
                            "AdminNetworkPolicy",
                            false,
                            AdminPolicyReader::readAdmin),
                    new Kind(
                            "policy.networking.k8s.io",
                            Set.of("v1alpha1"),
                            "BaselineAdminNetworkPolicy",
                            false,
                            AdminPolicyReader::readBaseline),
                    new Kind(
                            "policy.networking.k8s.io",
                            Set.of("v1alpha2", "v1beta1"),
                            "ClusterNetworkPolicy",
                            false,
                            AdminPolicyReader::readCluster),
                    calico("NetworkPolicy", true, CalicoReader::readPolicy),
                    calico("GlobalNetworkPolicy", false, CalicoReader::readPolicy),
                    calico("StagedNetworkPolicy", true, CalicoReader::readStagedPolicy),
                    calico("StagedGlobalNetworkPolicy", false, CalicoReader::readStagedPolicy),
                    calico("StagedKubernetesNetworkPolicy", true, NetworkPolicyReader::readStaged),
                    calico("Tier", false, CalicoReader::readTier),
                    calico("NetworkSet", true, CalicoReader::readNetworkSet),
                    calico("GlobalNetworkSet", false, CalicoReader::readNetworkSet),
                    calico("HostEndpoint", false, CalicoReader::readHostEndpoint),
                    calico("Profile", false, CalicoReader::readProfile));

    /** Groups whose every kind may restrict traffic, beside those of {@link #KINDS}. */
    private static final Set<String> POLICY_GROUPS =
            Set.of(
                    "networking.k8s.io",
                    "policy.networking.k8s.io",
                    "cilium.io",
                    CALICO_GROUP,
                    CALICO_STORAGE_GROUP,
                    "extensions");

    /** Kinds of those groups, and of the core group, that restrict nothing. */
    private static final Set<String> HARMLESS_KINDS =
            Set.of(
                    "Ingress",
                    "IngressClass",
                    "CiliumEnvoyConfig",
                    "CiliumClusterwideEnvoyConfig",
                    "CiliumNode",
                    "CiliumEndpoint",
                    "CiliumIdentity",
                    "BGPConfiguration",
                    "BGPFilter",
                    "BGPPeer",
                    "BlockAffinity",
                    "CalicoNodeStatus",
                    "ClusterInformation",
                    "FelixConfiguration",
                    "IPAMBlock",
                    "IPAMConfig",
                    "IPAMConfiguration",
                    "IPAMHandle",
                    "IPPool",
                    "IPReservation",
                    "KubeControllersConfiguration",
                    "ConfigMap",
                    "ReplicationController",
                    "PersistentVolume",
                    "PersistentVolumeClaim",
                    "Endpoints",
                    "Event",
                    "LimitRange",
                    "ResourceQuota",
                    "PodTemplate",
                    "Binding",
                    "ComponentStatus");

    private ManifestReader() {}

    private static Kind calico(
            final String name,
            final boolean namespaced,
            final BiFunction<ObjectMeta, Fields, ? extends KubeObject> reader) {
        return new Kind(CALICO_GROUP, Set.of("v3"), name, namespaced, reader);
    }

    private static Kind world(
            final String group,
            final String name,
            final boolean namespaced,
            final BiFunction<ObjectMeta, Fields, ? extends KubeObject> reader) {
        return new Kind(group, Set.of("v1"), name, namespaced, reader);
    }

    /**
     * Reads every document of a text.
     *
     * @param file name for messages; "-" for standard input
     * @param text YAML or JSON
     */
    public static ReadResult read(final String file, final String text) {
        final ProblemList problems = new ProblemList();
        final List<KubeObject> objects = new ArrayList<>();
        Fields.forEachDocument(
                file, text, problems, document -> readDocument(document, objects, problems));
        return new ReadResult(List.copyOf(objects), problems.inOrder(file));
    }

    private static void readDocument(
            final Fields document, final List<KubeObject> objects, final ProblemList problems) {
        if (isReachabilityCases(document)) {
            problems.add(
                    Problem.warning(
                            document.where(), "", "cases for sluice test, no manifest: left out"));
            return;
        }
        final String apiVersion = document.requiredString("apiVersion");
        final String kind = document.requiredString("kind");
        if (apiVersion.isEmpty() || kind.isEmpty()) {
            return;
        }
        if (kind.endsWith("List") && document.has("items")) {
            document.ignore("metadata");
            for (final Fields item : document.documentsOf("items")) {
                readDocument(item, objects, problems);
            }
            document.rejectOthers();
            return;
        }
        final Optional<Kind> known = lookup(document, apiVersion, kind);
        if (known.isEmpty()) {
            return;
        }
        final int before = problems.errorCount();
        final ObjectMeta meta = readMeta(document, apiVersion, known.get());
        final KubeObject object = known.get().reader.apply(meta, document);
        if (problems.errorCount() == before && !document.isFaulty()) {
            objects.add(object);
        }
    }

    /**
     * Whether a document holds expectations for {@code sluice test}, which may lie beside the
     * manifests that they are about, and is no manifest itself.
     */
    public static boolean isReachabilityCases(final Fields document) {
        final List<String> names = document.names();
        return !names.contains("kind")
                && !names.contains("apiVersion")
                && (names.contains("tests") || names.contains("rejected"));
    }

    private static Optional<Kind> lookup(
            final Fields document, final String apiVersion, final String name) {
        final int slash = apiVersion.indexOf('/');
        final String writtenGroup = slash < 0 ? "" : apiVersion.substring(0, slash);
        final boolean stored = writtenGroup.equals(CALICO_STORAGE_GROUP);
        final String group = stored ? CALICO_GROUP : writtenGroup;
        final String version =
                apiVersion.equals(CALICO_STORAGE_GROUP + "/v1")
                        ? "v3"
                        : apiVersion.substring(slash + 1);
        for (final Kind kind : KINDS) {
            if (kind.name.equals(name) && kind.group.equals(group)) {
                if (kind.versions.contains(version)) {
                    return Optional.of(kind);
                }
                document.error(
                        "apiVersion",
                        "version \""
                                + apiVersion
                                + "\" of "
                                + name
                                + " is not read: accepted: "
                                + kind.apiVersions());
                return Optional.empty();
            }
        }
        final boolean restricts = group.isEmpty() || POLICY_GROUPS.contains(group);
        final boolean named = name.contains("NetworkPolicy") || isKindName(name);
        if ((restricts || named) && !HARMLESS_KINDS.contains(name)) {
            document.error(
                    "kind",
                    "unknown kind \""
                            + name
                            + "\" of \""
                            + apiVersion
                            + "\""
                            + Fields.nearest(name, KINDS.stream().map(Kind::name).toList())
                                    .map(near -> ": did you mean \"" + near + "\"?")
                                    .orElse("")
                            + ": accepted: "
                            + acceptedKinds());
        } else {
            document.warning(
                    "kind",
                    name + " of \"" + apiVersion + "\" says nothing about policy: left out");
        }
        return Optional.empty();
    }

    private static boolean isKindName(final String name) {
        return KINDS.stream().anyMatch(kind -> kind.name.equals(name));
    }

    /** Kinds as {@code v1 Pod, Node}, one group after the other, for messages. */
    public static String acceptedKinds() {
        final Map<String, List<String>> names = new LinkedHashMap<>();
        for (final Kind kind : KINDS) {
            names.computeIfAbsent(kind.apiVersions(), _ -> new ArrayList<>()).add(kind.name);
        }
        return String.join(
                "; ",
                names.entrySet().stream()
                        .map(group -> group.getKey() + " " + String.join(", ", group.getValue()))
                        .toList());
    }

    private static ObjectMeta readMeta(
            final Fields document, final String apiVersion, final Kind kind) {
        final Optional<Fields> written = document.object("metadata");
        if (written.isEmpty()) {
            document.error("metadata", "Required value");
            return new ObjectMeta(
                    new ObjectRef(kind.refKind(), "", ""),
                    apiVersion,
                    document.where(),
                    Map.of(),
                    Map.of(),
                    document.plain());
        }
        final Fields meta = written.get();
        final String name = meta.string("name", "");
        if (name.isEmpty()) {
            meta.error("name", "Required value: name is required");
        } else {
            for (final String complaint :
                    kind.name.equals("Namespace")
                            ? NameSyntax.dnsLabel(name)
                            : NameSyntax.dnsSubdomain(name)) {
                meta.error("name", "Invalid value: \"" + name + "\": " + complaint);
            }
        }
        final String namespace = readNamespace(meta, kind);
        final Map<String, String> labels = readLabels(meta);
        final Map<String, String> annotations = values(meta.stringMap("annotations"));
        // The same few fields for every kind; a slip among them (a namespace, a label) moves an
        // object to where nobody looks for it, so it is an error for the lenient kinds as well.
        meta.ignore(
                "uid",
                "resourceVersion",
                "generation",
                "generateName",
                "creationTimestamp",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "managedFields",
                "ownerReferences",
                "finalizers",
                "selfLink");
        meta.rejectOthers();
        return new ObjectMeta(
                new ObjectRef(kind.refKind(), namespace, name),
                apiVersion,
                document.where(),
                labels,
                annotations,
                document.plain());
    }

    private static String readNamespace(final Fields meta, final Kind kind) {
        final String namespace = meta.string("namespace", "");
        if (!kind.namespaced) {
            if (!namespace.isEmpty()) {
                meta.error("namespace", "Forbidden: not allowed on this type");
            }
            return "";
        }
        if (namespace.isEmpty()) {
            return "default";
        }
        for (final String complaint : NameSyntax.dnsLabel(namespace)) {
            meta.error("namespace", "Invalid value: \"" + namespace + "\": " + complaint);
        }
        return namespace;
    }

    private static Map<String, String> readLabels(final Fields meta) {
        final Map<String, Fields.Text> labels = meta.stringMap("labels");
        for (final Map.Entry<String, Fields.Text> label : labels.entrySet()) {
            for (final String complaint : NameSyntax.labelKey(label.getKey())) {
                meta.error("labels", "Invalid value: \"" + label.getKey() + "\": " + complaint);
            }
            final String value = label.getValue().value();
            for (final String complaint : NameSyntax.labelValue(value)) {
                meta.error("labels", "Invalid value: \"" + value + "\": " + complaint);
            }
        }
        return values(labels);
    }

    private static Map<String, String> values(final Map<String, Fields.Text> texts) {
        final Map<String, String> values = new LinkedHashMap<>();
        texts.forEach((key, text) -> values.put(key, text.value()));
        return Collections.unmodifiableMap(values);
    }

    private static Pod readPod(final ObjectMeta meta, final Fields document) {
        String serviceAccount = "default";
        String nodeName = "";
        boolean hostNetwork = false;
        final List<Pod.NamedPort> ports = new ArrayList<>();
        final Optional<Fields> spec = document.object("spec");
        if (spec.isPresent()) {
            serviceAccount = spec.get().string("serviceAccountName", "default");
            nodeName = spec.get().string("nodeName", "");
            hostNetwork = spec.get().bool("hostNetwork", false);
            for (final Fields container : spec.get().objects("containers")) {
                readContainerPorts(container, ports);
            }
            for (final Fields container : spec.get().objects("initContainers")) {
                if (container.string("restartPolicy", "").equals("Always")) {
                    readContainerPorts(container, ports);
                }
            }
        }
        String phase = "";
        final List<IpAddress> addresses = new ArrayList<>();
        final Optional<Fields> status = document.object("status");
        if (status.isPresent()) {
            phase = status.get().string("phase", "");
            if (status.get().has("podIP")) {
                final Fields.Text text =
                        new Fields.Text(
                                status.get().string("podIP", ""),
                                "status.podIP",
                                status.get().where("podIP"));
                addAddress(status.get(), text, addresses);
            }
            for (final Fields item : status.get().objects("podIPs")) {
                final Fields.Text text =
                        new Fields.Text(
                                item.requiredString("ip"), item.path("ip"), item.where("ip"));
                addAddress(item, text, addresses);
            }
        }
        checkFamilies(document, addresses);
        return new Pod(
                meta,
                serviceAccount,
                nodeName,
                hostNetwork,
                phase,
                List.copyOf(addresses),
                List.copyOf(ports));
    }

    private static void checkFamilies(final Fields document, final List<IpAddress> addresses) {
        final long ipv4Count = addresses.stream().filter(IpAddress::isIpv4).count();
        if (ipv4Count > 1 || addresses.size() - ipv4Count > 1) {
            document.object("status")
                    .ifPresent(
                            status ->
                                    status.error(
                                            "podIPs",
                                            "Invalid value: "
                                                    + addresses
                                                    + ": may specify no more than one IP for each"
                                                    + " IP family"));
        }
    }

    private static void readContainerPorts(
            final Fields container, final List<Pod.NamedPort> ports) {
        for (final Fields port : container.objects("ports")) {
            final String name = port.string("name", "");
            final OptionalInt number = port.integer("containerPort");
            final int protocol = readPortProtocol(port);
            if (number.isPresent()
                    && (number.getAsInt() < 1 || number.getAsInt() > VerdictProgram.PORT_MAX)) {
                port.error(
                        "containerPort",
                        "Invalid value: "
                                + number.getAsInt()
                                + ": must be between 1 and 65535, inclusive");
            } else if (number.isPresent() && !name.isEmpty()) {
                ports.add(
                        new Pod.NamedPort(
                                name.toLowerCase(Locale.ROOT), protocol, number.getAsInt()));
            }
        }
    }

    private static void addAddress(
            final Fields fields, final Fields.Text text, final List<IpAddress> addresses) {
        final Optional<IpAddress> address = IpAddress.parse(text.value());
        if (address.isEmpty()) {
            fields.error(
                    text,
                    "Invalid value: \""
                            + text.value()
                            + "\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        } else if (!addresses.contains(address.get())) {
            addresses.add(address.get());
        }
    }

    private static KubeObject.Node readNode(final ObjectMeta meta, final Fields document) {
        final List<IpAddress> addresses = new ArrayList<>();
        final Optional<Fields> status = document.object("status");
        if (status.isPresent()) {
            for (final Fields item : status.get().objects("addresses")) {
                final String type = item.string("type", "");
                final String text = item.string("address", "");
                if (type.equals("InternalIP") || type.equals("ExternalIP")) {
                    addAddress(
                            item,
                            new Fields.Text(text, item.path("address"), item.where("address")),
                            addresses);
                }
            }
        }
        return new KubeObject.Node(meta, List.copyOf(addresses));
    }

    private static KubeObject.Service readService(final ObjectMeta meta, final Fields document) {
        Map<String, String> selector = Map.of();
        final List<IpAddress> clusterIps = new ArrayList<>();
        final Optional<Fields> spec = document.object("spec");
        if (spec.isPresent()) {
            selector = values(spec.get().stringMap("selector"));
            final List<Fields.Text> texts = new ArrayList<>(spec.get().strings("clusterIPs"));
            if (spec.get().has("clusterIP")) {
                texts.add(
                        new Fields.Text(
                                spec.get().string("clusterIP", ""),
                                "spec.clusterIP",
                                spec.get().where("clusterIP")));
            }
            for (final Fields.Text text : texts) {
                if (!text.value().equals("None") && !text.value().isEmpty()) {
                    addAddress(spec.get(), text, clusterIps);
                }
            }
        }
        final List<KubeObject.ServicePort> ports = new ArrayList<>();
        for (final Fields port : spec.map(fields -> fields.objects("ports")).orElse(List.of())) {
            readServicePort(port).ifPresent(ports::add);
        }
        return new KubeObject.Service(meta, selector, List.copyOf(clusterIps), List.copyOf(ports));
    }

    private static Optional<KubeObject.ServicePort> readServicePort(final Fields port) {
        final int protocol = readPortProtocol(port);
        final OptionalInt number = port.integer("port");
        if (number.isEmpty()) {
            return Optional.empty();
        }
        final boolean named = port.has("targetPort") && !port.isInteger("targetPort");
        return Optional.of(
                new KubeObject.ServicePort(
                        port.string("name", ""),
                        protocol,
                        number.getAsInt(),
                        named ? 0 : port.integer("targetPort").orElse(number.getAsInt()),
                        named ? port.string("targetPort", "") : ""));
    }

    private static int readPortProtocol(final Fields port) {
        final int protocol = IpProtocol.parse(port.string("protocol", "TCP"));
        if (!IpProtocol.hasPorts(protocol)) {
            port.error(
                    "protocol", "Unsupported value: supported values: \"SCTP\", \"TCP\", \"UDP\"");
        }
        return protocol;
    }

    private static KubeObject.EndpointSlice readEndpointSlice(
            final ObjectMeta meta, final Fields document) {
        final List<IpAddress> addresses = new ArrayList<>();
        if (!document.string("addressType", "").equals("FQDN")) {
            for (final Fields endpoint : document.objects("endpoints")) {
                for (final Fields.Text text : endpoint.strings("addresses")) {
                    addAddress(endpoint, text, addresses);
                }
            }
        }
        final List<Pod.NamedPort> ports = new ArrayList<>();
        for (final Fields port : document.objects("ports")) {
            final int protocol = readPortProtocol(port);
            final String name = port.string("name", "");
            port.integer("port")
                    .ifPresent(number -> ports.add(new Pod.NamedPort(name, protocol, number)));
        }
        return new KubeObject.EndpointSlice(
                meta,
                meta.labels().getOrDefault("kubernetes.io/service-name", ""),
                List.copyOf(addresses),
                List.copyOf(ports));
    }

    private static KubeObject.CiliumCidrGroup readCidrGroup(
            final ObjectMeta meta, final Fields document) {
        document.ignore("status");
        final List<Cidr> cidrs = new ArrayList<>();
        final Optional<Fields> spec = document.object("spec");
        document.rejectOthers();
        if (spec.isEmpty()) {
            document.error("spec", "Required value");
        } else {
            for (final Fields.Text text : spec.get().strings("externalCIDRs")) {
                NetworkPolicyReader.readCidr(spec.get(), text).ifPresent(cidrs::add);
            }
            spec.get().rejectOthers();
        }
        return new KubeObject.CiliumCidrGroup(meta, List.copyOf(cidrs));
    }
}
