package io.sluice.control.policy;

/** Direction of policy, seen from the endpoint that the policy selects. */
public enum PolicyDirection {
    INGRESS("ingress"),
    EGRESS("egress");

    private final String field;

    PolicyDirection(final String field) {
        this.field = field;
    }

    /** Lower-case name as in manifests and output. */
    public String field() {
        return field;
    }
}
