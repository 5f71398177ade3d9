"""The world and the flows of scripts/bench-replay: bench-replay-world.py FLOWS WORLD.yaml FLOWS.jsonl

Ten namespaces of a hundred workloads with a pod each, and a NetworkPolicy for each workload; flows among them, from a seed.
"""

import json
import random
import sys

NAMESPACES = 10
WORKLOADS = 100
DENIED_PERCENT = 10
CLIENTS = 2000

# Who calls a workload: of its namespace, of any.
OWN = 6
OTHERS = 4

rng = random.Random(7)


class Pod:
    def __init__(self, namespace, number):
        self.namespace = f"team-{namespace}"
        self.app = f"app-{number}"
        self.name = f"{self.app}-{rng.getrandbits(32):08x}"
        self.address = f"10.{64 + namespace}.{number // 50}.{number % 50 + 1}"
        self.identity = 1000 + namespace * WORKLOADS + number
        self.callers = []
        self.port = rng.choice([80, 443, 5432, 8080, 9090])

    def peer(self):
        return json.dumps({
            "ID": self.identity % 4000 + 1,
            "identity": self.identity,
            "namespace": self.namespace,
            "labels": [
                f"k8s:app={self.app}",
                "k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=" + self.namespace,
                "k8s:io.cilium.k8s.policy.cluster=default",
                "k8s:io.cilium.k8s.policy.serviceaccount=default",
                "k8s:io.kubernetes.pod.namespace=" + self.namespace,
                f"k8s:tier={'front' if self.port < 1000 else 'back'}",
            ],
            "pod_name": self.name,
        })


pods = [Pod(n, w) for n in range(NAMESPACES) for w in range(WORKLOADS)]
by_namespace = [pods[n * WORKLOADS:(n + 1) * WORKLOADS] for n in range(NAMESPACES)]
resolver = pods[0]
for pod in pods:
    own = by_namespace[int(pod.namespace[5:])]
    pod.callers = rng.sample([p for p in own if p is not pod], OWN) + rng.sample([p for p in pods if p is not pod], OTHERS)
clients = [f"203.0.{113 + n // 250}.{n % 250 + 1}" for n in range(CLIENTS)]
servers = [(f"198.51.100.{n + 1}", f"api-{n}.example.com") for n in range(200)]

OUTSIDE = json.dumps({"identity": 2, "labels": ["reserved:world"]})


def selector(pod, indent):
    return f"{indent}matchLabels: {{app: {pod.app}}}\n"


def policy(pod):
    text = (f"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {pod.app}, namespace: {pod.namespace}}}\n"
            f"spec:\n  podSelector:\n{selector(pod, '    ')}  policyTypes: [Ingress]\n  ingress:\n  - from:\n")
    for caller in pod.callers:
        # What is left out here would be denied.
        if rng.randrange(100) >= DENIED_PERCENT:
            text += (f"    - namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {caller.namespace}}}}}\n"
                     f"      podSelector: {{matchLabels: {{app: {caller.app}}}}}\n")
    text += "    - ipBlock: {cidr: 203.0.113.0/24}\n    - ipBlock: {cidr: 203.0.114.0/24}\n    - ipBlock: {cidr: 203.0.115.0/24}\n"
    text += f"    ports:\n    - {{protocol: TCP, port: {pod.port}}}\n"
    if pod is resolver:
        text += "  - ports:\n    - {protocol: UDP, port: 53}\n"
    return text


def write_world(path):
    with open(path, "w", encoding="utf-8") as out:
        for n in range(NAMESPACES):
            out.write(f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: team-{n}}}\n")
        for pod in pods:
            out.write(f"---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {pod.name}, namespace: {pod.namespace}, labels: {{app: {pod.app}, "
                      f"tier: {'front' if pod.port < 1000 else 'back'}}}}}\nstatus: {{podIP: {pod.address}}}\n")
        for pod in pods:
            out.write(policy(pod))


LINE = ('{"flow":{"time":"%(time)s","uuid":"%(uuid)s","verdict":"FORWARDED","ethernet":{"source":"02:53:4c:00:00:01",'
        '"destination":"02:53:4c:00:00:02"},"IP":{"source":"%(from)s","destination":"%(to)s","ipVersion":"IPv4"},'
        '"l4":{%(l4)s},"source":%(source)s,"destination":%(destination)s,"Type":"L3_L4","node_name":"node1",%(names)s'
        '"event_type":{"type":5},"traffic_direction":"%(direction)s","policy_match_type":2,"is_reply":false,'
        '"Summary":"%(summary)s","ingress_allowed_by":[{"name":"old","namespace":"team-0","revision":"17","kind":"NetworkPolicy",'
        '"tier":"default","rule":0,"file":"policies/old.yaml","line":12}]},"node_name":"node1","time":"%(time)s"}\n')


def write_flows(path, count):
    peers = {pod: pod.peer() for pod in pods}
    with open(path, "w", encoding="utf-8", buffering=1 << 20) as out:
        for i in range(count):
            second = i * 600_000 // count
            time = (f"2026-03-{1 + second // 86400:02d}T{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
                    f".{i % 1_000_000_000:09d}Z")
            kind = rng.randrange(100)
            source_port = 32768 + rng.randrange(28000)
            names, direction, udp = "", "INGRESS", False
            to = pods[int(rng.random() ** 2 * len(pods))]
            if kind < 80:
                sender = to.callers[rng.randrange(OWN) if kind < 40 else OWN + rng.randrange(OTHERS)]
                source, source_address = peers[sender], sender.address
                destination, address, port = peers[to], to.address, to.port
            elif kind < 90:
                source, source_address = OUTSIDE, rng.choice(clients)
                destination, address, port = peers[to], to.address, to.port
            elif kind < 95:
                address, name = rng.choice(servers)
                source, source_address = peers[to], to.address
                destination, port, direction = OUTSIDE, 443, "EGRESS"
                names = f'"destination_names":["{name}"],'
            else:
                source, source_address = peers[to], to.address
                destination, address, port, udp = peers[resolver], resolver.address, 53, True
            if udp:
                l4 = f'"UDP":{{"source_port":{source_port},"destination_port":{port}}}'
            else:
                l4 = f'"TCP":{{"source_port":{source_port},"destination_port":{port},"flags":{{"SYN":true}}}}'
            out.write(LINE % {
                "time": time, "uuid": f"0f5ad6a4-6f4f-4fb2-0000-{i:012x}", "from": source_address, "to": address, "l4": l4,
                "source": source, "destination": destination, "names": names, "direction": direction,
                "summary": "UDP" if udp else "TCP Flags: SYN",
            })


write_world(sys.argv[2])
write_flows(sys.argv[3], int(sys.argv[1]))
