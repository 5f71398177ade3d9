package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * What Kubernetes accepts as names, label keys and values, and port names, with its words for what
 * is wrong (apimachinery {@code util/validation}). Every check answers the list of complaints,
 * empty if the text is right.
 */
final class NameSyntax {
    private static final Pattern DNS_LABEL = Pattern.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?");
    private static final String DNS_SUBDOMAIN_SHOWN =
            "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";

    /**
     * The same, possessive: a dot is in no label, so there is nothing to give back, and a greedy
     * group would be a stack frame for each label of a text of any length.
     */
    private static final Pattern DNS_SUBDOMAIN = Pattern.compile(DNS_SUBDOMAIN_SHOWN + "+");

    private static final Pattern LABEL_NAME =
            Pattern.compile("([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]");
    private static final Pattern LABEL_VALUE =
            Pattern.compile("(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?");
    private static final Pattern DOMAIN_LABEL =
            Pattern.compile("[a-zA-Z0-9]([-a-zA-Z0-9_]{0,61}[a-zA-Z0-9])?");
    private static final Pattern PORT_NAME_CHARACTERS = Pattern.compile("[-a-z0-9]+");

    private static final int DNS_SUBDOMAIN_LENGTH_MAX = 253;
    private static final int DNS_LABEL_LENGTH_MAX = 63;
    private static final int LABEL_LENGTH_MAX = 63;
    private static final int PORT_NAME_LENGTH_MAX = 15;

    private NameSyntax() {}

    static List<String> dnsSubdomain(final String text) {
        final List<String> complaints = new ArrayList<>();
        if (text.length() > DNS_SUBDOMAIN_LENGTH_MAX) {
            complaints.add(tooLong(DNS_SUBDOMAIN_LENGTH_MAX));
        }
        if (!DNS_SUBDOMAIN.matcher(text).matches()) {
            complaints.add(
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric"
                            + " characters, '-' or '.', and must start and end with an alphanumeric"
                            + " character (e.g. 'example.com', regex used for validation is '"
                            + DNS_SUBDOMAIN_SHOWN
                            + "')");
        }
        return complaints;
    }

    static List<String> dnsLabel(final String text) {
        final List<String> complaints = new ArrayList<>();
        if (text.length() > DNS_LABEL_LENGTH_MAX) {
            complaints.add(tooLong(DNS_LABEL_LENGTH_MAX));
        }
        if (!DNS_LABEL.matcher(text).matches()) {
            complaints.add(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters"
                            + " or '-', and must start and end with an alphanumeric character (e.g."
                            + " 'my-name',  or '123-abc', regex used for validation is '"
                            + DNS_LABEL.pattern()
                            + "')");
        }
        return complaints;
    }

    static List<String> labelKey(final String text) {
        final List<String> complaints = new ArrayList<>();
        final int slash = text.indexOf('/');
        final String name = text.substring(slash + 1);
        if (slash >= 0) {
            final String prefix = text.substring(0, slash);
            if (prefix.isEmpty()) {
                complaints.add("prefix part must be non-empty");
            } else {
                dnsSubdomain(prefix).forEach(c -> complaints.add("prefix part " + c));
            }
        }
        if (name.isEmpty()) {
            complaints.add("name part must be non-empty");
        } else if (name.length() > LABEL_LENGTH_MAX) {
            complaints.add("name part " + tooLong(LABEL_LENGTH_MAX));
        }
        if (!LABEL_NAME.matcher(name).matches()) {
            complaints.add(
                    "name part must consist of alphanumeric characters, '-', '_' or '.', and must"
                            + " start and end with an alphanumeric character (e.g. 'MyName',  or"
                            + " 'my.name',  or '123-abc', regex used for validation is '"
                            + LABEL_NAME.pattern()
                            + "')");
        }
        return complaints;
    }

    static List<String> labelValue(final String text) {
        final List<String> complaints = new ArrayList<>();
        if (text.length() > LABEL_LENGTH_MAX) {
            complaints.add(tooLong(LABEL_LENGTH_MAX));
        }
        if (!LABEL_VALUE.matcher(text).matches()) {
            complaints.add(
                    "a valid label must be an empty string or consist of alphanumeric characters,"
                            + " '-', '_' or '.', and must start and end with an alphanumeric"
                            + " character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used"
                            + " for validation is '"
                            + LABEL_VALUE.pattern()
                            + "')");
        }
        return complaints;
    }

    /** IANA service name (RFC 6335 section 5.1), lower case only. */
    static List<String> portName(final String text) {
        final List<String> complaints = new ArrayList<>();
        if (text.length() > PORT_NAME_LENGTH_MAX) {
            complaints.add(tooLong(PORT_NAME_LENGTH_MAX));
        }
        if (!PORT_NAME_CHARACTERS.matcher(text).matches()) {
            complaints.add(
                    "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
        }
        if (text.chars().noneMatch(c -> c >= 'a' && c <= 'z')) {
            complaints.add("must contain at least one letter (a-z)");
        }
        if (text.contains("--")) {
            complaints.add("must not contain consecutive hyphens");
        }
        if (text.startsWith("-") || text.endsWith("-")) {
            complaints.add("must not begin or end with a hyphen");
        }
        return complaints;
    }

    /** A domain name of two or more labels, or {@code *.} before one (network-policy-api). */
    static List<String> domainPattern(final String text) {
        if (text.length() > DNS_SUBDOMAIN_LENGTH_MAX + "*.".length()) {
            return List.of(tooLong(DNS_SUBDOMAIN_LENGTH_MAX));
        }
        final String rooted = text.endsWith(".") ? text.substring(0, text.length() - 1) : text;
        final String name = rooted.startsWith("*.") ? rooted.substring(2) : rooted;
        final List<String> labels = List.of(name.split("\\.", -1));
        final boolean wellFormed =
                labels.size() > 1
                        && labels.stream().allMatch(label -> DOMAIN_LABEL.matcher(label).matches());
        return wellFormed
                ? List.of()
                : List.of(
                        "must be a domain name of at least two labels of letters, digits, '-' and"
                                + " '_', or such a name after '*.' (e.g. 'example.com' or"
                                + " '*.example.com')");
    }

    private static String tooLong(final int lengthMax) {
        return "must be no more than " + lengthMax + " characters";
    }
}
