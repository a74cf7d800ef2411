"""The bus over Redis: who may connect, what is not ours, and the other ways to reach it (TLS, Sentinel, Cluster)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import free_port
from redis_deployment import Deployment, Traffic, account, run
from redis_servers import Servers, redis_servers, until, wait_for
from test_bus import Recorder

from isomor.errors import BusUnavailable, ConfigError
from isomor.push.envelope import pack
from isomor.push.redis_bus import RedisBus


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with redis_servers(tmp_path) as servers:
        yield servers


# Refused.


def test_a_wrong_password_is_told_at_start(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = servers.server("--requirepass", "right")
        for credentials in ("", ":wrong-secret@", "nobody:wrong-secret@"):
            bus = RedisBus(f"redis://{credentials}127.0.0.1:{server.port}/0")
            with pytest.raises(ConfigError, match="refuses the user or the password") as caught:
                await bus.start(Recorder())
            assert f"127.0.0.1:{server.port}" in str(caught.value)
            assert "wrong-secret" not in str(caught.value) + caplog.text
        async with Deployment(f"redis://:right@127.0.0.1:{server.port}") as deployment:
            await deployment.bus("a")

    run(scenario())


@pytest.mark.parametrize(
    "rights", ["+@all -publish &*", "+@all -subscribe &*", "+@all &other:*", "+@all &* -@all +publish"]
)
def test_a_missing_permission_is_told_at_start(servers: Servers, rights: str) -> None:
    async def scenario() -> None:
        server = servers.server()
        server("ACL", "SETUSER", "pusher", "on", ">secret", *rights.split())
        bus = RedisBus(f"redis://pusher:secret@127.0.0.1:{server.port}")
        with pytest.raises(ConfigError, match="lacks a permission"):
            await bus.start(Recorder())

    run(scenario())


def test_a_user_with_just_enough_permissions(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        server("ACL", "SETUSER", "pusher", "on", ">s%cret", "&isomor:*", "+publish", "+subscribe", "+unsubscribe")
        url = f"redis://pusher:s%25cret@127.0.0.1:{server.port}"
        async with Deployment(url, prefix="isomor") as deployment:
            bus, recorder = await deployment.bus("a")
            await bus.publish("a", b"1")
            await until(lambda: recorder.messages, "the message")

    run(scenario())


def test_one_channel_that_is_forbidden_harms_no_other(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        rights = ("+@all", "&isomor:~*", "&isomor:good*")
        server("ACL", "SETUSER", "pusher", "on", ">secret", *rights)
        async with Deployment(f"redis://pusher:secret@127.0.0.1:{server.port}", prefix="isomor") as deployment:
            bus, recorder = await deployment.bus("good1")
            with pytest.raises(BusUnavailable, match="refuses the subscription"):
                await bus.subscribe("bad")
            with pytest.raises(BusUnavailable, match="may not publish"):
                await bus.publish("bad", b"1")
            await bus.publish("good1", b"1")
            await until(lambda: recorder.messages, "the message")
            assert bus.ready
            assert not recorder.gaps

    run(scenario())


def test_a_password_that_changes_is_logged_and_tried_again(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = servers.server("--requirepass", "first-secret")
        server.password = "first-secret"
        async with Deployment(f"redis://:first-secret@127.0.0.1:{server.port}") as deployment:
            bus, recorder = await deployment.bus("a")
            server("CONFIG", "SET", "requirepass", "second-secret")
            server.password = "second-secret"
            server.cut(subscribers=True)
            server.cut(subscribers=False)
            await until(lambda: "refuses the user or the password" in caplog.text, "the log")
            assert not bus.ready
            server("CONFIG", "SET", "requirepass", "first-secret")
            await until(lambda: bus.ready, "healing")
            await bus.publish("a", b"1")
            await until(lambda: recorder.messages, "the message")
        assert "secret" not in caplog.text

    run(scenario())


# Not ours.


def test_a_message_of_someone_else_is_logged_once_and_ignored(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url, prefix="isomor") as deployment:
            bus, recorder = await deployment.bus("a", "b")
            ours = pack(len("isomor"), b"someone!", 1, 1, 0, b"well-formed")
            foreign = [
                b"",
                b"hello\nERROR forged line",
                ours[:20],
                ours[:3] + b"\x02" + ours[4:],  # of another version
                pack(1, b"someone!", 1, 1, 0, b"of another prefix"),
            ]
            for message in foreign:
                server("PUBLISH", "isomor:a", message)
            server("PUBLISH", "isomor:b", foreign[1])
            server("PUBLISH", "isomor:a", ours)
            await until(lambda: recorder.messages, "the message that is well-formed")
            assert recorder.messages == [("a", b"well-formed")]
            await until(lambda: bus.stats().foreign == 6, "the others")
            assert not recorder.gaps
        lines = [record.getMessage() for record in caplog.records if "is ignored" in record.getMessage()]
        assert len(lines) == 2, "one a channel"
        assert not any("\n" in line for line in lines)

    run(scenario())


def test_deployments_that_share_a_redis_never_hear_each_other(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        prefixes = ["isomor", "isomor:a", "isomor:a:b", "i", "isomo"]
        async with Deployment(server.url) as deployment:
            buses = {prefix: await deployment.bus("c", "a:c", "a:b:c", "b:c", prefix=prefix) for prefix in prefixes}
            for prefix, (bus, _) in buses.items():
                for channel in ("c", "a:c", "a:b:c", "b:c"):
                    await bus.publish(channel, prefix.encode())
            for prefix, (_, recorder) in buses.items():
                await until(lambda recorder=recorder: len(recorder.messages) >= 4, "the messages")
                assert [body for _, body in recorder.messages] == [prefix.encode()] * 4

    run(scenario())


# Other ways to reach Redis.


def certificate(folder: Path) -> tuple[Path, Path]:
    key, cert = folder / "key.pem", folder / "cert.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return key, cert


def test_tls(servers: Servers, tmp_path: Path) -> None:
    key, cert = certificate(tmp_path)
    files = ("--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-ca-cert-file", str(cert))

    async def scenario() -> None:
        server = servers.server(*files, "--tls-auth-clients", "no", tls=True)
        url = f"rediss://127.0.0.1:{server.port}"
        with pytest.raises(ConfigError, match="certificate of Redis is not trusted"):
            await RedisBus(url).start(Recorder())
        for query in (f"?ssl_ca_certs={cert}", "?ssl_cert_reqs=none"):
            async with Deployment(url + query) as deployment:
                bus, recorder = await deployment.bus("a")
                await bus.publish("a", b"1" * 300_000)
                await until(lambda recorder=recorder: recorder.messages, "the message")
                before = bus.stats().rebuilds
                server.cut(subscribers=True)
                await until(lambda bus=bus, before=before: bus.stats().rebuilds > before and bus.ready, "healing")

    run(scenario())


def test_a_unix_socket_and_a_database(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server("--requirepass", "secret")
        async with Deployment(f"unix://:secret@{server.socket_path}?db=3") as deployment:
            bus, _ = await deployment.bus("a")
            deployment.url = f"redis://:secret@localhost:{server.port}/7"
            _, recorder = await deployment.bus("a")
            await bus.publish("a", b"databases do not matter to pub/sub")
            await until(lambda: recorder.messages, "the message")
        with pytest.raises(ConfigError, match="refuses the user or the password"):
            await RedisBus(f"unix://:wrong@{server.socket_path}").start(Recorder())
        with pytest.raises(ConfigError, match="DB index is out of range"):
            await RedisBus(f"redis://:secret@localhost:{server.port}/99").start(Recorder())

    run(scenario())


def test_sentinel_with_a_failover(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        master = servers.server()
        replica = servers.server("--replicaof", "127.0.0.1", str(master.port))
        sentinel = servers.sentinel(master, "main")
        wait_for(lambda: b"master_link_status:up" in replica.raw("INFO", "REPLICATION"), "the replica")
        wait_for(lambda: b"slaves=1" in sentinel.raw("INFO", "SENTINEL"), "the sentinel to know it")
        state = "master-link-status', b'ok'"
        wait_for(lambda: state in str(sentinel.raw("SENTINEL", "REPLICAS", "main")), "the sentinel to have its state")
        absent = f"redis+sentinel://127.0.0.1:{free_port()}"
        url = f"{absent},127.0.0.1:{sentinel.port}/main/0"
        with pytest.raises(ConfigError, match="know no service 'other'"):
            await RedisBus(url.replace("/main", "/other")).start(Recorder())
        async with Deployment((f"{absent}/main", f"redis+sentinel://127.0.0.1:{sentinel.port}/main")) as deployment:
            listener, recorder = await deployment.bus("a")
            deployment.url = url
            publisher, _ = await deployment.bus()
            traffic = Traffic(publisher, "a")
            await traffic.more(200)
            master.kill()
            await until(lambda: not listener.ready and not publisher.ready, "both to notice")
            await until(lambda: listener.ready and publisher.ready, "the failover")
            assert replica("PUBSUB", "NUMSUB", f"{deployment.options['prefix']}:a")[1] == 1
            await traffic.more(200)
            sent = await traffic.stop()
            await until(lambda: recorder.of("a")[-1] == b"%d" % (sent - 1), "the last message")
            missing = account(recorder, "a", sent)
            assert traffic.failed == 0
            assert ("a", None) in recorder.gaps
            print(f"Sentinel failover: {sent} sent, {missing} lost, all counted")
        assert "now carried by" in caplog.text

    run(scenario())


def test_a_cluster_with_sharded_channels(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        nodes = servers.cluster()
        with pytest.raises(ConfigError, match="cluster"):
            await RedisBus(f"redis+cluster://127.0.0.1:{servers.server().port}").start(Recorder())
        channels = [f"topic:{i}" for i in range(30)]
        async with Deployment(f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{nodes[0].port}") as deployment:
            listener, recorder = await deployment.bus(*channels)
            publisher, _ = await deployment.bus()
            for i in range(3000):
                publisher.publish(channels[i % 30], b"%d" % (i // 30))
            await until(lambda: len(recorder.messages) == 3000, "the messages")
            for channel in channels:
                assert recorder.of(channel) == [b"%d" % i for i in range(100)]
            shards = [len(node("PUBSUB", "SHARDCHANNELS")) for node in nodes]
            assert min(shards) > 2, "every node has a share"
            assert sum(shards) == 30 + 2 * 3
            print(f"cluster: 30 channels and two buses' probes, by node: {shards}")

            # A slot moves away, in the middle of traffic.
            prefix = deployment.options["prefix"]
            slot = nodes[0]("CLUSTER", "KEYSLOT", f"{prefix}:{channels[0]}")
            owner = next(
                node for node in nodes if f"{prefix}:{channels[0]}".encode() in node("PUBSUB", "SHARDCHANNELS")
            )
            other = next(node for node in nodes if node is not owner)
            traffic = Traffic(publisher, channels[0])
            await traffic.more(100)
            heir = other("CLUSTER", "MYID")
            for node in (other, owner, *nodes):
                node("CLUSTER", "SETSLOT", slot, "NODE", heir)
            await until(lambda: f"{prefix}:{channels[0]}".encode() in other("PUBSUB", "SHARDCHANNELS"), "the move")
            await until(lambda: listener.ready and publisher.ready, "healing")
            await traffic.more(100)
            sent = await traffic.stop()
            await until(lambda: recorder.of(channels[0])[-1] == b"%d" % (sent - 1), "the last message")
            recorder.messages = recorder.messages[3000:]
            missing = account(recorder, channels[0], sent)
            assert traffic.failed == 0
            print(f"cluster, a slot moved: {sent} sent, {missing} lost, all counted")

            # A node is killed and comes back; the channels of the others never notice.
            nodes[2].kill()
            await until(lambda: not listener.ready, "it to notice")
            nodes[2].start()
            await until(lambda: listener.ready and publisher.ready, "healing")
            await publisher.publish(channels[1], b"x")
            for channel in channels:
                await publisher.publish(channel, b"last")
            await until(lambda: all(recorder.of(channel)[-1:] == [b"last"] for channel in channels), "the last ones")
            for channel in channels:
                await listener.unsubscribe(channel)
            await until(lambda: sum(len(node("PUBSUB", "SHARDCHANNELS")) for node in nodes) == 6, "Redis to forget")

    run(scenario())


def test_a_cluster_with_a_failover(servers: Servers) -> None:
    async def scenario() -> None:
        nodes = servers.cluster()
        replica = servers.cluster_replica(nodes, nodes[2])
        channels = [f"topic:{i}" for i in range(12)]
        async with Deployment(f"redis+cluster://127.0.0.1:{nodes[0].port}") as deployment:
            listener, recorder = await deployment.bus(*channels)
            publisher, _ = await deployment.bus()
            traffics = [Traffic(publisher, channel) for channel in channels]
            await traffics[0].more(100)
            nodes[2].kill()
            await until(lambda: not listener.ready and not publisher.ready, "both to notice")
            await until(lambda: listener.ready and publisher.ready, "the failover")
            assert len(replica("PUBSUB", "SHARDCHANNELS")) > 2
            missing = 0
            for traffic in traffics:
                await traffic.more(20)
                sent = await traffic.stop()
                last = b"%d" % (sent - 1)
                await until(lambda c=traffic.channel, last=last: recorder.of(c)[-1] == last, "the last message")
                missing += account(recorder, traffic.channel, sent)
            assert sum(traffic.failed for traffic in traffics) == 0
            total = sum(traffic.sent for traffic in traffics)
            print(f"cluster failover: {total} sent, {missing} lost, all counted")

    run(scenario())
