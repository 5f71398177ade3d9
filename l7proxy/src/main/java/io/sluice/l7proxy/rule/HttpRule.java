package io.sluice.l7proxy.rule;

import io.sluice.l7proxy.rule.HeaderMatch.OnMismatch;
import io.sluice.l7proxy.rule.HttpOutcome.Edit;
import io.sluice.l7proxy.rule.HttpOutcome.HeaderEdit;
import io.sluice.l7proxy.rule.HttpOutcome.LoggedHeader;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/**
 * One item of Cilium's {@code rules.http}: everything that is given must hold, {@code {}} lets
 * every request pass.
 *
 * <p>Method, path (with its query) and host (with its port) are RE2 expressions for the whole text.
 * A header that comes more than once is compared as its values joined by commas.
 *
 * <p>Several rules: one that matches is enough. If any of them has header actions, all that fit the
 * request are gone through, so that the edits of each take place; a rule whose own header check
 * fails still logs and edits, as in Cilium. Each rule sees the request as it arrived: Cilium shows
 * it the edits of rules before, which makes the answer depend on the order of policies.
 *
 * <p>Immutable; equal if written alike.
 */
public final class HttpRule {
    /** Characters of a regular expression. */
    public static final int PATTERN_LENGTH_MAX = TextPattern.LENGTH_MAX;

    /** Steps of a regular expression with its repeats written out. */
    public static final int PATTERN_EXPANDED_MAX = TextPattern.EXPANDED_MAX;

    /** For answers without a cluster: no secret is known, so its header never is as expected. */
    public static final Function<SecretName, Optional<String>> NO_SECRETS =
            secret -> Optional.empty();

    private static final String TOKEN_MARKS = "!#$%&'*+-.^_`|~";

    /** Texts that are not written are empty, and match everything. */
    private final TextPattern method;

    private final TextPattern path;
    private final TextPattern host;
    private final List<String> headers;
    private final List<HeaderMatch> headerMatches;

    /** The conditions among both header lists. */
    private final List<HeaderMatch> conditions;

    /** The header matches that do something. */
    private final List<HeaderMatch> actions;

    private HttpRule(
            final TextPattern method,
            final TextPattern path,
            final TextPattern host,
            final List<String> headers,
            final List<HeaderMatch> headerMatches) {
        this.method = method;
        this.path = path;
        this.host = host;
        this.headers = headers;
        this.headerMatches = headerMatches;
        final List<HeaderMatch> required = new ArrayList<>();
        headers.forEach(header -> required.add(condition(header)));
        final List<HeaderMatch> acting = new ArrayList<>();
        headerMatches.forEach(match -> (match.hasAction() ? acting : required).add(match));
        this.conditions = List.copyOf(required);
        this.actions = List.copyOf(acting);
    }

    /**
     * Compiles a rule; what is not written is empty.
     *
     * @param headers {@code "Name"}: must be there; {@code "Name: value"}: must have this value
     * @throws RuleSyntaxException with the field, what is wrong and what is accepted
     */
    public static HttpRule compile(
            final String method,
            final String path,
            final String host,
            final List<String> headers,
            final List<HeaderMatch> headerMatches) {
        return new HttpRule(
                compileField("method", method),
                compileField("path", path),
                compileField("host", host),
                List.copyOf(headers),
                List.copyOf(headerMatches));
    }

    private static TextPattern compileField(final String field, final String text) {
        try {
            return TextPattern.compile(text);
        } catch (final IllegalArgumentException bad) {
            throw new RuleSyntaxException(field, String.valueOf(bad.getMessage()));
        }
    }

    /** The value starts behind the first space, as in Cilium; a colon before it is left out. */
    private static HeaderMatch condition(final String header) {
        final int space = header.indexOf(' ');
        final String written = space < 0 ? header : header.substring(0, space);
        final String name =
                space >= 0 && written.endsWith(":")
                        ? written.substring(0, written.length() - 1)
                        : written;
        checkHeaderName("headers", name);
        final String value = space < 0 ? "" : header.substring(space + 1);
        return HeaderMatch.of(name, value, Optional.empty(), OnMismatch.FAIL);
    }

    /** RFC 9110, 5.6.2: anything else cannot be the name of a header and would never match. */
    static void checkHeaderName(final String field, final String name) {
        boolean token = !name.isEmpty();
        for (int i = 0; i < name.length(); i++) {
            final char c = name.charAt(i);
            token &=
                    (c >= 'a' && c <= 'z')
                            || (c >= 'A' && c <= 'Z')
                            || (c >= '0' && c <= '9')
                            || TOKEN_MARKS.indexOf(c) >= 0;
        }
        if (!token) {
            throw new RuleSyntaxException(
                    field,
                    "\"" + name + "\": accepted: a header's name, or \"Name: value\" with a space");
        }
    }

    /** Whether it lets every request pass as it is. */
    public boolean matchesEverything() {
        return fitsAnyTarget() && headers.isEmpty() && headerMatches.isEmpty();
    }

    private boolean fitsAnyTarget() {
        return isAbsent(method) && isAbsent(path) && isAbsent(host);
    }

    private static boolean isAbsent(final TextPattern pattern) {
        return pattern.toString().isEmpty();
    }

    /** Whether a match may also edit the request, or log. */
    public boolean hasHeaderActions() {
        return !actions.isEmpty();
    }

    /** Secrets that the rule compares with or inserts. */
    public Set<SecretName> secrets() {
        final Set<SecretName> secrets = new LinkedHashSet<>();
        headerMatches.forEach(match -> match.secret().ifPresent(secrets::add));
        return secrets;
    }

    /** The same rule, with secrets that name no namespace looked for in this one. */
    public HttpRule withSecretsIn(final String namespace) {
        return secrets().isEmpty()
                ? this
                : new HttpRule(
                        method,
                        path,
                        host,
                        headers,
                        headerMatches.stream()
                                .map(match -> match.withSecretIn(namespace))
                                .toList());
    }

    /** Whether this rule lets the request pass. */
    public boolean matches(
            final HttpRequest request, final Function<SecretName, Optional<String>> secrets) {
        if (!fits(request, secrets)) {
            return false;
        }
        for (final HeaderMatch action : actions) {
            final boolean asExpected = isAsExpected(action, request, secrets);
            if (asExpected
                    ? action.onMatch() == HeaderMatch.OnMatch.FAIL
                    : action.onMismatch() == OnMismatch.FAIL) {
                return false;
            }
        }
        return true;
    }

    private boolean fits(
            final HttpRequest request, final Function<SecretName, Optional<String>> secrets) {
        if (!(isAbsent(method) || method.matches(request.method()))
                || !(isAbsent(path) || path.matches(request.path()))
                || !(isAbsent(host) || host.matches(request.host()))) {
            return false;
        }
        for (final HeaderMatch condition : conditions) {
            if (!isAsExpected(condition, request, secrets)) {
                return false;
            }
        }
        return true;
    }

    /**
     * What the request lacks to be let pass, a phrase each: {@code path /admin does not match
     * /public.*}. Empty exactly if {@link #matches}. Values of headers are not shown.
     */
    public List<String> unmet(
            final HttpRequest request, final Function<SecretName, Optional<String>> secrets) {
        final List<String> unmet = new ArrayList<>();
        addUnmet(unmet, "method", method, request.method());
        addUnmet(unmet, "path", path, request.path());
        addUnmet(unmet, "host", host, request.host());
        for (final HeaderMatch condition : conditions) {
            if (!isAsExpected(condition, request, secrets)) {
                unmet.add(headerUnmet(condition, request));
            }
        }
        for (final HeaderMatch action : actions) {
            if (isAsExpected(action, request, secrets)) {
                if (action.onMatch() == HeaderMatch.OnMatch.FAIL) {
                    unmet.add("header " + action.name() + " is what the rule refuses");
                }
            } else if (action.onMismatch() == OnMismatch.FAIL) {
                unmet.add(headerUnmet(action, request));
            }
        }
        return List.copyOf(unmet);
    }

    private static void addUnmet(
            final List<String> unmet,
            final String field,
            final TextPattern pattern,
            final String text) {
        if (!isAbsent(pattern) && !pattern.matches(text)) {
            unmet.add(field + " " + text + " does not match " + pattern);
        }
    }

    private static String headerUnmet(final HeaderMatch match, final HttpRequest request) {
        return request.headers(match.name()).isEmpty()
                ? "header " + match.name() + " is missing"
                : "header " + match.name() + " is not as the rule asks";
    }

    private static boolean isAsExpected(
            final HeaderMatch match,
            final HttpRequest request,
            final Function<SecretName, Optional<String>> secrets) {
        final List<String> values = request.headers(match.name());
        if (values.isEmpty() || match.isPresence()) {
            return !values.isEmpty();
        }
        final Optional<String> expected = expected(match, secrets);
        return expected.isPresent() && equalInConstantTime(joined(values), expected.get());
    }

    /** The value asked for; empty if a secret is not known, whose header then never fits. */
    private static Optional<String> expected(
            final HeaderMatch match, final Function<SecretName, Optional<String>> secrets) {
        return match.secret().isPresent()
                ? secrets.apply(match.secret().get())
                : Optional.of(match.value());
    }

    private static String joined(final List<String> values) {
        return values.size() == 1 ? values.get(0) : String.join(",", values);
    }

    /** The value may be a password: how long a wrong one takes must not tell how wrong it is. */
    private static boolean equalInConstantTime(final String one, final String other) {
        return MessageDigest.isEqual(
                one.getBytes(StandardCharsets.UTF_8), other.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * What a list of rules says of a request.
     *
     * @param rules one that matches is enough; none matches nothing
     * @param secrets values of secrets, empty for those that are not known
     */
    public static HttpOutcome judge(
            final List<HttpRule> rules,
            final HttpRequest request,
            final Function<SecretName, Optional<String>> secrets) {
        boolean actions = false;
        for (final HttpRule rule : rules) {
            actions |= rule.hasHeaderActions();
        }
        final Notes notes = new Notes();
        boolean matched = false;
        for (final HttpRule rule : rules) {
            if (rule.matches(request, secrets)) {
                matched = true;
                if (!actions) {
                    return HttpOutcome.MATCHED;
                }
            }
            if (rule.hasHeaderActions() && rule.fits(request, secrets)) {
                rule.act(request, secrets, notes);
            }
        }
        return notes.isEmpty()
                ? matched ? HttpOutcome.MATCHED : HttpOutcome.NOT_MATCHED
                : notes.outcome(matched);
    }

    private void act(
            final HttpRequest request,
            final Function<SecretName, Optional<String>> secrets,
            final Notes notes) {
        for (final HeaderMatch action : actions) {
            final List<String> values = request.headers(action.name());
            final Optional<String> expected = expected(action, secrets);
            if (isAsExpected(action, request, secrets)) {
                switch (action.onMatch()) {
                    case CONTINUE -> {}
                    case FAIL -> notes.rejected(action, expected.orElse(""));
                    case DELETE -> {
                        notes.rejected(action, expected.orElse(""));
                        notes.edit(Edit.DELETE, action, "");
                    }
                }
                continue;
            }
            switch (action.onMismatch()) {
                case FAIL, LOG -> notes.missing(action, expected.orElse(""));
                case ADD -> {
                    notes.missing(action, expected.orElse(""));
                    expected.ifPresent(value -> notes.edit(Edit.ADD, action, value));
                }
                case DELETE -> {
                    if (!values.isEmpty()) {
                        notes.rejected(action, joined(values));
                        notes.edit(Edit.DELETE, action, "");
                    }
                }
                case REPLACE -> {
                    if (!values.isEmpty()) {
                        notes.rejected(action, joined(values));
                    }
                    notes.missing(action, expected.orElse(""));
                    // Without the secret's value at least the wrong one must not get through.
                    notes.edit(
                            expected.isPresent() ? Edit.REPLACE : Edit.DELETE,
                            action,
                            expected.orElse(""));
                }
            }
        }
    }

    /** What the rules have to say, each thing once, in the order said. */
    private static final class Notes {
        private final Set<HeaderEdit> edits = new LinkedHashSet<>();
        private final Set<LoggedHeader> missing = new LinkedHashSet<>();
        private final Set<LoggedHeader> rejected = new LinkedHashSet<>();

        void edit(final Edit edit, final HeaderMatch match, final String value) {
            edits.add(new HeaderEdit(edit, lower(match), value));
        }

        void missing(final HeaderMatch match, final String value) {
            missing.add(logged(match, value));
        }

        void rejected(final HeaderMatch match, final String value) {
            rejected.add(logged(match, value));
        }

        /** What was sent in place of a secret is often close to it: neither is shown. */
        private static LoggedHeader logged(final HeaderMatch match, final String value) {
            return new LoggedHeader(
                    lower(match), match.secret().isPresent() ? LoggedHeader.REDACTED : value);
        }

        private static String lower(final HeaderMatch match) {
            return match.name().toLowerCase(Locale.ROOT);
        }

        boolean isEmpty() {
            return edits.isEmpty() && missing.isEmpty() && rejected.isEmpty();
        }

        HttpOutcome outcome(final boolean matched) {
            return new HttpOutcome(
                    matched, List.copyOf(edits), List.copyOf(missing), List.copyOf(rejected));
        }
    }

    @Override
    public boolean equals(final Object other) {
        return other instanceof final HttpRule rule
                && method.equals(rule.method)
                && path.equals(rule.path)
                && host.equals(rule.host)
                && headers.equals(rule.headers)
                && headerMatches.equals(rule.headerMatches);
    }

    @Override
    public int hashCode() {
        return Objects.hash(method, path, host, headers, headerMatches);
    }

    /** The fields that are written, as in {@code {method: GET, path: /public}}. */
    @Override
    public String toString() {
        final List<String> fields = new ArrayList<>();
        addField(fields, "method", method.toString());
        addField(fields, "path", path.toString());
        addField(fields, "host", host.toString());
        addField(fields, "headers", headers.isEmpty() ? "" : headers.toString());
        final List<String> matches = new ArrayList<>();
        headerMatches.forEach(match -> matches.add(match.name()));
        addField(fields, "headerMatches", matches.isEmpty() ? "" : matches.toString());
        return "{" + String.join(", ", fields) + "}";
    }

    private static void addField(final List<String> fields, final String name, final String text) {
        if (!text.isEmpty()) {
            fields.add(name + ": " + text);
        }
    }
}
