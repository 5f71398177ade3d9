package io.sluice.control.agent;

import java.time.Instant;
import java.util.List;
import java.util.Map;

/**
 * One page about the daemon.
 *
 * @param version of Sluice
 * @param nodeName this node's name in the objects
 * @param pid of the daemon
 * @param startedAt when it started
 * @param runFolder run folder, holds the socket and the lock
 * @param stateFolder state folder, holds what survives a restart
 * @param manifestFolders folders and files given by {@code -f}
 * @param policyRevision revision that is live in the data plane
 * @param policyPublishedAt when it went live
 * @param policyCompileNs how long its compilation took, in nanoseconds
 * @param objectCounts objects in force, by kind
 * @param endpointCounts endpoints, by {@link EndpointState}
 * @param identityCount identities of the live policy
 * @param ipcacheCount prefixes of the live policy
 * @param conntrackCount tracked flows
 * @param conntrackCapacity tracked flows at most
 * @param tables sizes of the data plane's tables
 * @param flowCount flows in the flow ring
 * @param flowCapacity flows in the ring at most
 * @param flowsLost flow events lost because a ring was full, since start
 * @param lanes threads that forward
 * @param packetsIn packets that entered the switch, since start
 * @param packetsOut packets that left it
 * @param packetsAnswered packets the switch answered itself
 * @param packetsDropped packets dropped, for any reason
 * @param uplink the uplink's device name, empty when there is none
 * @param l7Namespace where the L7 proxy's network namespace is found, empty until it is needed
 * @param l7Connections client connections in the L7 proxy
 * @param confirmation the latest change of objects that has to be confirmed, or had to
 * @param exports where flows are written for other programs
 * @param problems what is wrong now, one line each: bad files, endpoints that wait, policies not
 *     enforced wholly
 */
public record StatusReport(
        String version,
        String nodeName,
        long pid,
        Instant startedAt,
        String runFolder,
        String stateFolder,
        List<String> manifestFolders,
        long policyRevision,
        Instant policyPublishedAt,
        long policyCompileNs,
        Map<String, Integer> objectCounts,
        Map<String, Integer> endpointCounts,
        int identityCount,
        int ipcacheCount,
        int conntrackCount,
        int conntrackCapacity,
        List<TableReport> tables,
        int flowCount,
        int flowCapacity,
        long flowsLost,
        List<LaneReport> lanes,
        long packetsIn,
        long packetsOut,
        long packetsAnswered,
        long packetsDropped,
        String uplink,
        String l7Namespace,
        int l7Connections,
        ConfirmationReport confirmation,
        List<ExportReport> exports,
        List<String> problems) {}
