# shellcheck shell=bash disable=SC2034
# Functions shared by the benchmarks that set Sluice beside other switches. Sourced after lib.sh, never run:
#
#   . "$ROOT/scripts/bench-lib.sh"
#
# A side is one switch with two pods, each in a namespace of its own: 10.244.0.11 (the client) and 10.244.0.12 (the server).
# Sides share no device, so all can be up at the same time. What every side but veth enforces: default deny both ways, and the
# client may open what ALLOWED names ("tcp:80"; a range such as "udp:7168-8191" is a power of two of ports from a multiple of it
# on), statefully. Processor 0 is the switch's, processor 1 that of who
# makes the load; with one processor nothing is pinned.

CLIENT_IP=10.244.0.11
SERVER_IP=10.244.0.12
PATH=$PATH:/usr/sbin:/sbin
ALLOWED=()
SIDES=()
declare -A NODE CLIENT SERVER SWITCH_PID WHAT SOCKET SKIPPED

SWITCH_CPU=0
LOAD_CPU=1
[ "$(nproc)" -ge 2 ] || LOAD_CPU=0

# number OPTION VALUE LEAST MOST
number() {
    if [[ ! $2 =~ ^[0-9]{1,8}$ ]] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
        usage_error "$1 wants a number from $3 to $4, not '$2'"
    fi
    echo "$2"
}

# bench_begin: root, packages, the build, and a folder `work` that goes with the script.
bench_begin() {
    need_root "$@"
    "$ROOT/scripts/bootstrap" bench --quiet
    "$ROOT/scripts/build"
    # On a tmpfs, as /run is.
    work=$(mktemp -d -p /dev/shm)
    on_exit rm -rf "$work"
}

# ------------------------------------------------------------------------------------------------ words and figures

# heading LINE: what is measured, when, where.
heading() {
    local side before
    echo "$1"
    echo "date     $(date -u +%Y-%m-%dT%H:%M:%SZ)"
    echo "commit   $(git -C "$ROOT" rev-parse --short HEAD 2>/dev/null || echo unknown)$([ -z "$(git -C "$ROOT" status --porcelain 2>/dev/null)" ] || echo ' with local changes')"
    echo "machine  $(nproc) x $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r)"
    for side in "${SIDES[@]}"; do
        [ -z "${WHAT[$side]:-}" ] || printf '%-8s  %s\n' "$side" "${WHAT[$side]}"
    done
    for side in "${!SKIPPED[@]}"; do
        printf '%-8s  not measured: %s\n' "$side" "${SKIPPED[$side]}"
    done
    before=$(busy_ticks)
    sleep 1
    echo "idle     $((($(busy_ticks) - before) * 100 / $(getconf CLK_TCK))) % of one processor busy before the first round, load $(cut -d' ' -f1 /proc/loadavg)"
    echo
}

# record NAME: keeps $work/result in perf/results.
record() {
    local result
    mkdir -p "$ROOT/perf/results"
    result=$ROOT/perf/results/$(date -u +%Y-%m-%d)-$1-$(git -C "$ROOT" rev-parse --short HEAD).txt
    cp "$work/result" "$result"
    note "written to ${result#"$ROOT"/}"
}

# spread FILE [COLUMN]: median, smallest, largest.
spread() {
    awk -v column="${2:-1}" '{ print $column }' "$1" | sort -g |
        awk '{ v[NR] = $1 } END { if (!NR) { print "- - -"; exit }
            m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; printf "%.6g %.6g %.6g\n", m, v[1], v[NR] }'
}

median() { spread "$@" | cut -d' ' -f1; }

# quantile FILE PERCENT: of a column of numbers, by rank.
quantile() {
    sort -g "$1" | awk -v percent="$2" '{ v[NR] = $1 } END { if (!NR) { print "-"; exit }
        i = int((NR * percent + 99.999) / 100); if (i < 1) i = 1; if (i > NR) i = NR; print v[i] }'
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (a == "-" || b == "-" || b == 0) print "-"; else printf "%.3f\n", a / b }'; }

# ticks PID: processor time of a process, in clock ticks; busy_ticks: that of the machine.
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
busy_ticks() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 + $9 }' /proc/stat; }

# turns ROUND: the sides in the order of this round, every other time backwards.
turns() {
    local i
    for ((i = 0; i < ${#SIDES[@]}; i++)); do
        [ $(($1 % 2)) = 1 ] && echo "${SIDES[i]}" || echo "${SIDES[${#SIDES[@]} - 1 - i]}"
    done
}

# ------------------------------------------------------------------------------------------------ processors

# pin PID CPU: all its threads, and those they start.
pin() { taskset -acp "$2" "$1" >/dev/null; }

# pin_lanes PID CPU: its lanes only; its other threads may use every processor.
pin_lanes() {
    local task
    taskset -acp "0-$(($(nproc) - 1))" "$1" >/dev/null
    for task in "/proc/$1/task"/*; do
        [[ $(cat "$task/comm") != *lane* ]] || taskset -cp "$2" "${task##*/}" >/dev/null
    done
}

# freeze PID, thaw PID: a switch that spins takes no processor from another that is measured.
freeze() { kill -STOP "$1"; }
thaw() { kill -CONT "$1"; }

# ------------------------------------------------------------------------------------------------ sides

# use_cubic NAMESPACE: the host's default may be another, and a namespace may choose only what the host allows; while the script
# runs cubic is allowed.
use_cubic() {
    local file=/proc/sys/net/ipv4/tcp_allowed_congestion_control allowed
    allowed=$(cat $file)
    if [[ " $allowed " != *" cubic "* ]] && echo "$allowed cubic" 2>/dev/null >$file; then
        on_exit sh -c "echo '$allowed' >$file"
    fi
    in_netns "$1" sysctl -q -w net.ipv4.tcp_congestion_control=cubic 2>/dev/null ||
        note "$1 keeps $(in_netns "$1" sysctl -n net.ipv4.tcp_congestion_control): cubic is not allowed here"
}

# side_namespaces SIDE: three namespaces, cubic in each.
side_namespaces() {
    local role name
    for role in node client server; do
        name=sluice-bench-$$-$1-$role
        need_free_netns "$name"
        on_exit netns_del "$name"
        netns_add "$name"
        use_cubic "$name"
    done
    NODE[$1]=sluice-bench-$$-$1-node
    CLIENT[$1]=sluice-bench-$$-$1-client
    SERVER[$1]=sluice-bench-$$-$1-server
}

# veth_pods SIDE MTU: eth0 in each pod, its other end pod1 or pod2 in the node.
veth_pods() {
    local index=0 pod
    for pod in "${CLIENT[$1]}" "${SERVER[$1]}"; do
        index=$((index + 1))
        ip -n "${NODE[$1]}" link add pod$index mtu "$2" type veth peer name eth0 netns "$pod" mtu "$2"
        ip -n "${NODE[$1]}" link set pod$index up
        pod_address "$pod" $index
    done
}

pod_address() {
    ip -n "$1" link set eth0 up
    ip -n "$1" addr add "10.244.0.1$2/24" dev eth0
}

# setup_veth SIDE [MTU]: the two pods joined by one veth, and no switch at all.
setup_veth() {
    side_namespaces "$1"
    ip -n "${CLIENT[$1]}" link add eth0 mtu "${2:-1500}" type veth peer name eth0 netns "${SERVER[$1]}" mtu "${2:-1500}"
    pod_address "${CLIENT[$1]}" 1
    pod_address "${SERVER[$1]}" 2
    WHAT[$1]="one veth between the pods, no switch, no policy"
    SIDES+=("$1")
}

# bridge_rules FAMILY [FILE]: the policy in nft's words; the lines of FILE, if any, stand before the rule of ALLOWED.
bridge_rules() {
    local allow elements=""
    for allow in "${ALLOWED[@]}"; do
        elements+="${elements:+, }$CLIENT_IP . $SERVER_IP . ${allow%%:*} . ${allow##*:}"
    done
    cat <<RULES
table $1 sluice_bench {
    set allowed {
        type ipv4_addr . ipv4_addr . inet_proto . inet_service
        flags interval
        elements = { $elements }
    }
    chain probe {
    }
    chain forward {
        type filter hook forward priority 0; policy drop;
        $([ "$1" = ip ] || echo "ether type arp accept")
        ct state established,related accept
        ct state invalid drop
        $([ -z "${2:-}" ] || cat "$2")
        ip saddr . ip daddr . meta l4proto . th dport @allowed accept
        jump probe
    }
}
RULES
}

# setup_bridge SIDE [MTU] [FILE]: veth, kernel bridge, nftables with conntrack. Where the kernel tracks connections on bridges
# itself the rules live in the bridge family; otherwise br_netfilter hands bridged packets to the ip family, as container
# runtimes have it. Sets BRIDGE_FAMILY.
setup_bridge() {
    local side=$1 node port
    side_namespaces "$side"
    node=${NODE[$side]}
    veth_pods "$side" "${2:-1500}"
    ip -n "$node" link add br0 mtu "${2:-1500}" type bridge
    ip -n "$node" link set br0 up
    for port in pod1 pod2; do
        ip -n "$node" link set $port master br0
    done
    for BRIDGE_FAMILY in bridge ip; do
        bridge_rules $BRIDGE_FAMILY "${3:-}" >"$work/$side.nft"
        ! in_netns "$node" nft -f "$work/$side.nft" 2>"$work/nft.log" || break
    done
    in_netns "$node" nft list table $BRIDGE_FAMILY sluice_bench >/dev/null 2>&1 || die "nft takes no conntrack rules here: $(head -n 1 "$work/nft.log")"
    if [ $BRIDGE_FAMILY = ip ]; then
        in_netns "$node" sysctl -q -w net.bridge.bridge-nf-call-iptables=1 || die "no br_netfilter here, and no conntrack for bridges"
    fi
    WHAT[$side]="kernel bridge with nftables conntrack, family $BRIDGE_FAMILY"
    SIDES+=("$side")
}

# pod_objects SIDE: the two pods as manifests.
pod_objects() {
    local index=11 pod
    for pod in client:${CLIENT[$1]} server:${SERVER[$1]}; do
        cat <<POD
---
apiVersion: v1
kind: Pod
metadata: { name: ${pod%%:*}, namespace: bench, labels: { app: ${pod%%:*} }, annotations: { sluice.io/netns: ${pod##*:} } }
status: { podIP: 10.244.0.$index }
POD
        index=$((index + 1))
    done
}

# policy_objects: ALLOWED as two NetworkPolicies. The client's lets all go to the server; the server's lets in what is allowed.
policy_objects() {
    local allow protocol ports=""
    for allow in "${ALLOWED[@]}"; do
        protocol=${allow%%:*}
        allow=${allow##*:}
        ports+="${ports:+, }{ protocol: ${protocol^^}, port: ${allow%-*}, endPort: ${allow#*-} }"
    done
    cat <<POLICIES
apiVersion: v1
kind: Namespace
metadata: { name: bench }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: client, namespace: bench }
spec:
  podSelector: { matchLabels: { app: client } }
  policyTypes: [Ingress, Egress]
  egress: [{ to: [{ podSelector: { matchLabels: { app: server } } }] }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: server, namespace: bench }
spec:
  podSelector: { matchLabels: { app: server } }
  policyTypes: [Ingress, Egress]
  ingress:
    - from: [{ podSelector: { matchLabels: { app: client } } }]
      ports: [$ports]
POLICIES
}

# setup_sluice SIDE FILE [CONFIGURATION LINE...]: the daemon, pinned. FILE holds further manifests; it may be empty ("").
setup_sluice() {
    local side=$1 file=$2
    shift 2
    side_namespaces "$side"
    mkdir -p "$work/$side/objects"
    pod_objects "$side" >"$work/$side/objects/pods.yaml"
    policy_objects >"$work/$side/objects/policies.yaml"
    [ -z "$file" ] || cp "$file" "$work/$side/objects/more.yaml"
    # Ten thousand policies on a busy processor take their time.
    DAEMON_SECONDS=120 daemon_start "${NODE[$side]}" "$work/$side" "$work/$side/objects" "$@"
    on_exit thaw_if_there "$DAEMON_PID"
    SOCKET[$side]=$SLUICE_SOCKET
    SWITCH_PID[$side]=$DAEMON_PID
    wait_until 60 endpoints_ready 2 || die "the endpoints did not become ready: $(sluice status | tail -n 5)"
    pin "$DAEMON_PID" $SWITCH_CPU
    WHAT[$side]="sluice run${*:+ with $*}"
    SIDES+=("$side")
}

thaw_if_there() { kill -CONT "$1" 2>/dev/null || true; }

# setup_ovs SIDE [MTU] [FILE]: OVS in userspace (netdev datapath, AF_PACKET ports), by an ovsdb-server and an ovs-vswitchd of our
# own: the machine's service is not touched. With segmentation offload (userspace-tso-enable) where Debian's build for DPDK is
# installed, otherwise with complete checksums from the pods. FILE holds further flows. A side that cannot run is left out,
# and the heading says why.
setup_ovs() {
    local side=$1 home=$work/$1 node vswitchd=/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk tso=true pod allow ports
    [ -x "$vswitchd" ] || { vswitchd=$(command -v ovs-vswitchd) && tso=false; } || { SKIPPED[$side]="openvswitch-switch is not installed"; return; }
    side_namespaces "$side"
    node=${NODE[$side]}
    veth_pods "$side" "${2:-1500}"
    if ! $tso; then
        for pod in "${CLIENT[$side]}" "${SERVER[$side]}"; do
            in_netns "$pod" ethtool -K eth0 tx off >/dev/null || { SKIPPED[$side]="ethtool cannot turn checksum offload off"; return; }
        done
    fi
    mkdir "$home"
    export OVS_RUNDIR=$home OVS_LOGDIR=$home OVS_DBDIR=$home
    local db=unix:$home/db.sock
    ovsdb-tool create "$home/conf.db" /usr/share/openvswitch/vswitch.ovsschema
    start_in_netns "$node" "$home/db.log" ovsdb-server --remote="p$db" --unixctl="$home/db.ctl" "$home/conf.db"
    wait_until 10 test -S "$home/db.sock" || { SKIPPED[$side]="ovsdb-server does not start: $(tail -n 1 "$home/db.log")"; return; }
    ovs-vsctl --db="$db" --no-wait init
    ovs-vsctl --db="$db" --no-wait set Open_vSwitch . other_config:userspace-tso-enable=$tso
    start_in_netns "$node" "$home/switch.log" "$vswitchd" "$db" --disable-system --unixctl="$home/switch.ctl" -vconsole:warn
    SWITCH_PID[$side]=$STARTED_PID
    if ! ovs-vsctl --db="$db" --timeout=10 -- add-br br0 -- set bridge br0 datapath_type=netdev fail-mode=secure \
        other_config:hwaddr=02:00:00:00:00:fe -- add-port br0 pod1 -- add-port br0 pod2 2>"$home/vsctl.log"; then
        SKIPPED[$side]="ovs-vswitchd does not start: $(cat "$home/vsctl.log" "$home/switch.log" | tail -n 1)"
        return
    fi
    {
        echo "table=0,priority=100,arp,actions=normal"
        echo "table=0,priority=90,ip,ct_state=-trk,actions=ct(table=1)"
        echo "table=1,priority=65000,ct_state=+trk+inv,actions=drop"
        echo "table=1,priority=64000,ct_state=+trk+est,actions=normal"
        echo "table=1,priority=64000,ct_state=+trk+rel,actions=normal"
        for allow in "${ALLOWED[@]}"; do
            ports=${allow##*:}
            printf 'table=1,priority=63000,ct_state=+trk+new,%s,nw_src=%s,nw_dst=%s,tp_dst=0x%x/0x%x,actions=ct(commit),normal\n' \
                "${allow%%:*}" $CLIENT_IP $SERVER_IP "${ports%-*}" $((65535 - (${ports#*-} - ${ports%-*})))
        done
        [ -z "${3:-}" ] || cat "$3"
        echo "table=1,priority=0,actions=drop"
    } >"$home/flows"
    if ! ovs-ofctl add-flows "$home/br0.mgmt" "$home/flows" 2>"$home/ofctl.log"; then
        SKIPPED[$side]="OVS takes no flows: $(tail -n 1 "$home/ofctl.log")"
        return
    fi
    pin "${SWITCH_PID[$side]}" $SWITCH_CPU
    WHAT[$side]="OVS $("$vswitchd" --version | sed -n '1s/.* //p'), netdev datapath, AF_PACKET ports, ct(), userspace-tso-enable=$tso"
    SIDES+=("$side")
}

# drop_side SIDE REASON: it is not measured after all.
drop_side() {
    local side kept=()
    for side in "${SIDES[@]}"; do
        [ "$side" = "$1" ] || kept+=("$side")
    done
    SIDES=("${kept[@]}")
    SKIPPED[$1]=$2
}

# check_side SIDE PORT: what a comparison rests on: the port is reached over TCP, and what nobody allowed is not.
check_side() {
    case $1 in
        veth | apart | copy | uring) ;;
        *) ! in_netns "${CLIENT[$1]}" ping -c 1 -W 1 $SERVER_IP >/dev/null 2>&1 || die "$1: a ping passes that the policy denies" ;;
    esac
    if ! wait_until 10 in_netns "${CLIENT[$1]}" nc -z -w 1 $SERVER_IP "$2"; then
        [ "$1" = ovs ] || die "$1: port $2 is not reached"
        drop_side "$1" "port $2 is not reached through it; $(tail -n 1 "$work/ovs/switch.log")"
    fi
}

# check_sides PORT
check_sides() {
    local side
    for side in "${SIDES[@]}"; do
        check_side "$side" "$1"
    done
}

# next_hop NAMESPACE: the MAC to which it sends what is for the server.
next_hop() {
    local hop
    hop=$(in_netns "$1" ip -j route get $SERVER_IP | jq -r '.[0].gateway // .[0].dst')
    # Whether the answer passes does not matter: before it is a question for the MAC.
    in_netns "$1" ping -c 1 -W 1 $SERVER_IP >/dev/null 2>&1 || true
    in_netns "$1" ip -j neigh show "$hop" | jq -r '.[0].lladdr // empty' | grep . || die "$1 does not know the MAC of $hop"
}

# ------------------------------------------------------------------------------------------------ programs in C

# build_peer: compiles scripts/bench-peer.c. Sets PEER.
build_peer() {
    PEER=$work/bench-peer
    gcc -O2 -Wall -pthread -o "$PEER" "$ROOT/scripts/bench-peer.c" || die "bench-peer.c does not compile here"
}
