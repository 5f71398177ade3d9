# shellcheck shell=bash
# Functions shared by the scripts of this folder. Sourced, never run:
#
#   . "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
#
# Sets ROOT (the repository) and turns on -euo pipefail. Nothing here changes the machine until it is called.

set -euo pipefail
ROOT=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
JDK_LEAST=25

# ------------------------------------------------------------------------------------------------ words to people

note() { printf '%s\n' "$*" >&2; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

usage_error() {
    printf '%s: %s (see %s -h)\n' "${0##*/}" "$*" "${0##*/}" >&2
    exit 2
}

# print_usage: the comment at the head of the calling script is its manual.
print_usage() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; }

# ------------------------------------------------------------------------------------------------ leaving

# on_exit COMMAND...: runs when the script ends, however it ends (SIGKILL aside), newest first.
ON_EXIT=()
on_exit() {
    ON_EXIT+=("$(printf '%q ' "$@")")
    trap run_on_exit EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
}

run_on_exit() {
    local status=$? i
    trap - EXIT
    trap '' INT TERM HUP
    set +e
    for ((i = ${#ON_EXIT[@]} - 1; i >= 0; i--)); do
        eval "${ON_EXIT[i]}"
    done
    exit "$status"
}

# wait_until SECONDS COMMAND...: asks again every 50 ms; false when the time is over.
wait_until() {
    local end=$(($(date +%s%N) + $1 * 1000000000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s%N)" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# stop_process PID: SIGTERM, ten seconds, SIGKILL. Only for processes the caller started.
stop_process() {
    kill "$1" 2>/dev/null || return 0
    wait_until 10 process_is_gone "$1" || kill -9 "$1" 2>/dev/null
    wait "$1" 2>/dev/null || true
    return 0
}

process_is_gone() {
    local state
    state=$(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null) || return 0
    [ -z "$state" ] || [ "$state" = Z ]
}

# ------------------------------------------------------------------------------------------------ Java

# jdk_major FOLDER: the feature number of the JDK there, 0 if it is none (a JRE is none: nothing can be built with it).
jdk_major() {
    local version=""
    if [ ! -x "$1/bin/java" ] || [ ! -x "$1/bin/javac" ]; then
        echo 0
        return
    fi
    if [ -r "$1/release" ]; then
        version=$(sed -n 's/^JAVA_VERSION="\{0,1\}\([0-9]*\).*/\1/p' "$1/release")
    fi
    [ -n "$version" ] || version=$("$1/bin/java" -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p')
    echo "${version:-0}"
}

# jdk_candidates: where to look, best first: what the user named, then the usual places, then the PATH.
jdk_candidates() {
    [ -z "${SLUICE_JAVA_HOME:-}" ] || printf '%s\n' "$SLUICE_JAVA_HOME"
    [ -z "${JAVA_HOME:-}" ] || printf '%s\n' "$JAVA_HOME"
    local folder
    for folder in /usr/lib/jvm/* /opt/*jdk* /opt/*java* /opt/java/* "${HOME:-/root}"/.sdkman/candidates/java/* "${HOME:-/root}"/.jdks/*; do
        [ ! -d "$folder" ] || printf '%s\n' "$folder"
    done
    local java
    if java=$(command -v java); then
        dirname -- "$(dirname -- "$(readlink -f -- "$java")")"
    fi
}

# find_jdk: prints the folder of the first JDK that is new enough; false if there is none.
find_jdk() {
    local folder
    while IFS= read -r folder; do
        if [ "$(jdk_major "$folder")" -ge "$JDK_LEAST" ]; then
            printf '%s\n' "$folder"
            return 0
        fi
    done < <(jdk_candidates)
    return 1
}

# use_jdk: exports JAVA_HOME, or ends the script with what was found and what to do.
use_jdk() {
    local found folder
    if found=$(find_jdk); then
        export JAVA_HOME=$found
        return 0
    fi
    found=""
    while IFS= read -r folder; do
        found+="${found:+, }$folder ($(jdk_major "$folder"))"
    done < <(jdk_candidates | sort -u)
    die "no JDK of $JDK_LEAST or newer; looked at: ${found:-nothing}. Install one (Debian has none yet: see https://adoptium.net) under /usr/lib/jvm, or set SLUICE_JAVA_HOME to its folder"
}

# ------------------------------------------------------------------------------------------------ privilege

is_root() { [ "$(id -u)" = 0 ]; }

need_root() { is_root || die "needs root (network namespaces and TAP devices): sudo $0 $*"; }

# why_no_namespaces: empty when namespaces and TAP devices can be made here, else the reason.
why_no_namespaces() {
    is_root || { echo "not root"; return; }
    [ -c /dev/net/tun ] || { echo "/dev/net/tun is missing"; return; }
    command -v ip >/dev/null || { echo "ip (package iproute2) is missing"; return; }
    unshare --net true 2>/dev/null || echo "this machine refuses new network namespaces"
}

# ------------------------------------------------------------------------------------------------ namespaces

netns_exists() { [ -e "/run/netns/$1" ]; }

# netns_add NAME: a namespace with loopback up and no IPv6 duplicate address detection, so that an address is usable the
# moment it is there.
netns_add() {
    [[ $1 =~ ^[A-Za-z0-9._-]+$ ]] || die "bad namespace name '$1': letters, digits, '.', '_' and '-' are accepted"
    ! netns_exists "$1" || die "namespace $1 exists already: scripts/netns-down $1 removes it"
    ip netns add "$1"
    ip -n "$1" link set lo up
    ip netns exec "$1" sysctl -q -w \
        net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
        net.ipv4.ping_group_range="0 2147483647"
}

# netns_del NAME: ends what still runs in the namespace, then removes it; no complaint if it is gone.
netns_del() {
    netns_exists "$1" || return 0
    local pids
    pids=$(ip netns pids "$1" 2>/dev/null) || pids=""
    # shellcheck disable=SC2086 # a list of pids
    [ -z "$pids" ] || kill $pids 2>/dev/null || true
    ip netns delete "$1"
}

# in_netns NAME COMMAND...: runs it there.
in_netns() { ip netns exec "$@"; }

# start_in_netns NAME LOG COMMAND...: runs it there in the background until the script ends. Sets STARTED_PID. Called directly,
# not through in_netns: `ip netns exec` becomes the command, so the pid is the command's own.
start_in_netns() {
    local name=$1 log=$2
    shift 2
    ip netns exec "$name" "$@" </dev/null >"$log" 2>&1 &
    STARTED_PID=$!
    on_exit stop_process "$STARTED_PID"
}

# need_free_netns NAME...: each must be free, or one line names those that are not and how to get rid of them.
need_free_netns() {
    local name taken=()
    for name in "$@"; do
        ! netns_exists "$name" || taken+=("$name")
    done
    [ ${#taken[@]} = 0 ] ||
        die "these namespaces exist already, from a run that was killed or from you: remove them with scripts/netns-down ${taken[*]}"
}

# ------------------------------------------------------------------------------------------------ the daemon

# daemon_start NODE WORK OBJECTS [CONFIGURATION LINE...]: starts `sluice run -f OBJECTS` in the namespace NODE, with its run
# folder, state folder and log (daemon.log) in WORK. Sets DAEMON_PID and exports SLUICE_SOCKET, by which every later `sluice`
# finds it. Gives it DAEMON_SECONDS (30).
daemon_start() {
    local node=$1 work=$2 objects=$3
    shift 3
    export SLUICE_SOCKET=$work/run/api.sock
    printf '%s\n' "runFolder: $work/run" "stateFolder: $work/state" "$@" >"$work/sluice.yaml"
    start_in_netns "$node" "$work/daemon.log" "$ROOT/scripts/sluice" run -f "$objects" --config "$work/sluice.yaml"
    DAEMON_PID=$STARTED_PID
    if ! wait_until "${DAEMON_SECONDS:-30}" daemon_is_up_or_gone || process_is_gone "$DAEMON_PID"; then
        tail -n 20 "$work/daemon.log" >&2
        die "the daemon did not start; its log is above"
    fi
}

daemon_is_up_or_gone() { [ -S "$SLUICE_SOCKET" ] || process_is_gone "$DAEMON_PID"; }

sluice() { "$ROOT/scripts/sluice" "$@"; }

# endpoints_ready COUNT: whether so many endpoints are READY and none is in another state.
endpoints_ready() {
    [ "$(sluice endpoint list -o json | jq -r '[.[].state] | "\(map(select(. == "READY")) | length)/\(length)"')" = "$1/$1" ]
}

# ------------------------------------------------------------------------------------------------ a table of steps

# table_begin WORK: steps keep what they see in the folder. `good` and `bad` count them.
table_begin() {
    work=$1 good=0 bad=0 waiting=() background=""
    green='' red='' plain=''
    if [ -t 1 ]; then
        green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
    fi
}

# remember: the process started last is no step.
remember() { background+=" $STARTED_PID"; }

title() { printf '\n%-60s %-27s %s\n' "$1" expected seen; }

# step WHAT EXPECTED COMMAND...: runs COMMAND in the background; what it prints is what was seen. Steps of a group run side
# by side, as most of them wait for a time-out.
step() {
    local number=${#waiting[@]}
    waiting+=("$1"$'\t'"$2")
    shift 2
    { "$@" >"$work/seen.$number" 2>"$work/seen.$number.err" || true; } &
}

# rows: waits for the steps of the group and prints them in order. What is seen may have more to say in brackets.
rows() {
    local number what expected seen mark
    for job in $(jobs -p); do
        [[ " $background " == *" $job "* ]] || wait "$job" || true
    done
    for number in "${!waiting[@]}"; do
        IFS=$'\t' read -r what expected <<<"${waiting[number]}"
        seen=$(head -n 1 "$work/seen.$number")
        [ -n "$seen" ] || seen="nothing: $(tail -n 1 "$work/seen.$number.err")"
        if [ "${seen%% (*}" = "$expected" ]; then
            mark="${green}ok$plain"
            good=$((good + 1))
        else
            mark="${red}WRONG$plain"
            bad=$((bad + 1))
        fi
        printf '  %-58s %-27s %-29s %s\n' "$what" "$expected" "$seen" "$mark"
    done
    waiting=()
}

# ------------------------------------------------------------------------------------------------ the shop of examples/shop, in namespaces

# Namespaces are called SHOP_NETNS and a name: of a pod, node, outsider.
SHOP=$ROOT/examples/shop
SHOP_NETNS=shop-
PODS=(frontend backend database monitoring dns)
declare -A V4=([frontend]=10.244.0.11 [backend]=10.244.0.12 [database]=10.244.0.13 [monitoring]=10.244.0.14 [dns]=10.244.0.53
    [outsider]=198.51.100.10 [gateway]=169.254.1.1)
declare -A V6=([frontend]=fd00:10:244::11 [backend]=fd00:10:244::12 [database]=fd00:10:244::13 [monitoring]=fd00:10:244::14
    [dns]=fd00:10:244::53 [outsider]=2001:db8:100::10 [gateway]=fe80::1%eth0)

# shop_network: namespaces, the network outside, and servers in all of them. After table_begin.
shop_network() {
    local name address
    need_free_netns "${SHOP_NETNS}node" "${SHOP_NETNS}outsider" "${PODS[@]/#/$SHOP_NETNS}"
    for name in node outsider "${PODS[@]}"; do
        on_exit netns_del "$SHOP_NETNS$name"
        netns_add "$SHOP_NETNS$name"
    done

    # The node routes between the pods behind sluice0 and a network outside, where customers are.
    ip -n "${SHOP_NETNS}node" link add outside type veth peer name eth0 netns "${SHOP_NETNS}outsider"
    ip -n "${SHOP_NETNS}node" addr add 198.51.100.1/24 dev outside
    ip -n "${SHOP_NETNS}node" addr add 2001:db8:100::1/64 dev outside nodad
    ip -n "${SHOP_NETNS}node" link set outside up
    ip -n "${SHOP_NETNS}outsider" addr add 198.51.100.10/24 dev eth0
    ip -n "${SHOP_NETNS}outsider" addr add 2001:db8:100::10/64 dev eth0 nodad
    ip -n "${SHOP_NETNS}outsider" link set eth0 up
    ip -n "${SHOP_NETNS}outsider" route add default via 198.51.100.1
    ip -n "${SHOP_NETNS}outsider" route add default via 2001:db8:100::1
    in_netns "${SHOP_NETNS}node" sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

    for name in "${PODS[@]}"; do
        for address in "${V4[$name]}" "${V6[$name]}"; do
            echo "$address $name.shop.svc.cluster.local"
        done
    done >"$work/hosts"

    shop_server frontend http:80 http:9100
    shop_server backend http:8080 http:9100
    shop_server database echo:5432 http:9187
    shop_server monitoring http:9090
    shop_server dns dns:53 --hosts "$work/hosts"
    shop_server outsider http:80
}

# shop_server NAME SERVICE...
shop_server() {
    local name=$1
    shift
    start_in_netns "$SHOP_NETNS$name" "$work/$name.log" python3 "$SHOP/server.py" "$name" "$@"
    remember
}

# shop_start OBJECTS NODE: the daemon for a folder of manifests; waits for endpoints and servers.
shop_start() {
    local name
    daemon_start "${SHOP_NETNS}node" "$work" "$1" "nodeName: $2"
    remember
    wait_until 30 endpoints_ready ${#PODS[@]} || die "the endpoints did not become ready:
$(sluice endpoint list)
$(sluice status)"
    for name in "${PODS[@]}" outsider; do
        wait_until 10 grep -q ready "$work/$name.log" ||
            die "the server of $name did not start: $(tail -n 1 "$work/$name.log")"
    done
}

# both COMMAND NAME PODorHOST ARGUMENT...: COMMAND for the IPv4 and the IPv6 address; one word if they agree.
both() {
    local ask=$1 from=$2 to=$3 four six second=$work/second.$BASHPID
    shift 3
    "$ask" "$from" "${V6[$to]}" "$@" >"$second" &
    four=$("$ask" "$from" "${V4[$to]}" "$@")
    wait $!
    six=$(cat "$second")
    if [ "$four" = "$six" ]; then echo "$four"; else echo "IPv4 $four, IPv6 $six"; fi
}

tcp_to() {
    local said
    if said=$(in_netns "$SHOP_NETNS$1" nc -zv -w 2 "$2" "$3" 2>&1); then
        echo connects
    else
        case $said in
            *"timed out"*) echo "times out" ;;
            *refused*) echo refused ;;
            *) echo "${said##*: }" ;;
        esac
    fi
}

http_to() {
    local code status=0 host=$2
    [[ $host != *:* ]] || host="[$host]"
    code=$(in_netns "$SHOP_NETNS$1" curl -g -s -o /dev/null -w '%{http_code}' --max-time 2 "http://$host:$3${4:-/}") || status=$?
    case $status in
        0) echo "HTTP $code" ;;
        7) echo refused ;;
        28) echo "times out" ;;
        *) echo "curl: $status" ;;
    esac
}

ping_to() {
    if in_netns "$SHOP_NETNS$1" ping -n -c 1 -W 2 "$2" >/dev/null 2>&1; then echo answers; else echo "no answer"; fi
}

# dig_to FROM SERVER OPTION NAME
dig_to() {
    local answer
    answer=$(in_netns "$SHOP_NETNS$1" dig "@$2" +short +tries=1 +time=2 "$3" "$4") || answer="times out"
    echo "$answer"
}

# ------------------------------------------------------------------------------------------------ build

# build_is_fresh: whether the last build is newer than every source.
build_is_fresh() {
    local stamp=$ROOT/target/built
    [ -e "$stamp" ] && [ -e "$ROOT/control/cli/target/sluice.jar" ] || return 1
    [ -z "$(find "$ROOT" -name target -prune -o -path "$ROOT/.git" -prune -o -path "$ROOT/examples" -prune -o \
        -path "$ROOT/docs" -prune -o \( -name '*.java' -o -name 'pom.xml' -o -path '*/src/main/resources/*' \) \
        -newer "$stamp" -print -quit)" ]
}

mark_built() {
    mkdir -p "$ROOT/target"
    touch "$ROOT/target/built"
}
