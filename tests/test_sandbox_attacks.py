"""What model-written code may try, and what becomes of it: contained, with a reason, and the host unharmed.

An attack is code that defines `attack`, which returns "done" if it got what it was after. A verdict that passes is an
attack that worked. Each is tried behind all layers, and behind each of the two sets that count as strong by themselves.
"""

import dataclasses
import json
import os
import platform
import socket
import sys
import threading
import time

import psutil
import pytest

from burnish.verifiers.sandbox import isolation, program, seccomp
from burnish.verifiers.sandbox.layers import layers
from burnish.verifiers.sandbox.limits import Limits

FOUND = layers()
WALLS = {
    "all": FOUND,
    "namespaces": dataclasses.replace(FOUND, namespaces="user", landlock=0, uids=False),
    "landlock": dataclasses.replace(FOUND, namespaces="", uids=False),
}
LIMITS = Limits(seconds=2.0, memory_mb=64, scratch_mb=2, scratch_files=64, threads=16, output_kb=64, reply_mb=1)
pytestmark = pytest.mark.skipif(not FOUND.strong, reason="this machine cannot confine code")


def available(name):
    walls = WALLS[name]
    return bool(FOUND.namespaces if name == "namespaces" else FOUND.landlock if name == "landlock" else walls.strong)


@pytest.fixture(params=list(WALLS))
def walls(request):
    if not available(request.param):
        pytest.skip(f"no {request.param} here")
    return WALLS[request.param]


def run(code, tests="assert attack() == 'done'", walls=FOUND, limits=LIMITS, entry=None):
    """One run; afterwards nothing of it is left."""
    before = set(psutil.Process().children(recursive=True))
    found = program.run(code, tests, entry, "", limits.to_json(), walls.to_json())
    assert set(psutil.Process().children(recursive=True)) <= before
    return found


def contained(found):
    assert found.get("outcome") in ("fail", "abstain"), found
    assert found["reason"], found
    return found


class Host:
    """What an attack could reach: a secret file, a listening server, a file of the user's, this process."""

    def __init__(self, folder):
        self.folder = folder
        self.secret = folder / "secret.txt"
        self.secret.write_text("s3cret")
        self.secret.chmod(0o600)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(0.01)
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(folder / "door"))
        self.unix.listen()
        self.unix.settimeout(0.01)
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0burnish-{os.getpid()}-{folder.name}")
        self.abstract.listen()
        self.abstract.settimeout(0.01)
        self.before = self.state()

    def state(self):
        about = self.secret.stat()
        files = sorted(p.name for p in self.folder.iterdir())
        return files, self.secret.read_text(), about.st_mode, about.st_mtime_ns, about.st_nlink, about.st_uid

    def fill(self, code):
        names = {
            "SECRET": str(self.secret),
            "FOLDER": str(self.folder),
            "PORT": self.server.getsockname()[1],
            "ABSTRACT": self.abstract.getsockname(),
            "PID": os.getpid(),
            "HOME": os.path.expanduser("~"),
            "LIBRARY": os.path.dirname(os.__file__),
            "HARNESS": os.path.dirname(program.__file__),
            "DATABASE": str(self.folder / "store.db"),
        }
        return (
            "import ctypes, fcntl, os, signal, socket, sys, time\n" + "".join(f"{k} = {v!r}\n" for k, v in names.items()) + code
        )

    def check(self):
        assert self.state() == self.before
        for one in (self.server, self.unix, self.abstract):
            with pytest.raises(TimeoutError):
                one.accept()
            one.close()


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setenv("BURNISH_TEST_SECRET", "s3cret-in-the-environment")
    (tmp_path / "store.db").write_bytes(b"SQLite format 3\0")
    one = Host(tmp_path)
    yield one
    one.check()


REACHING_OUT = {
    "fork bomb": "while True: os.fork()",
    "a few forks": "[os.fork() for _ in range(3)]; return 'done'",
    "double fork": "if os.fork() == 0:\n  os.setsid(); os.fork(); time.sleep(60)\n return 'done'",
    "vfork": "import subprocess; subprocess.run(['/bin/true'], check=True); return 'done'",
    "shell": "return 'done' if os.system('true') == 0 else 'no'",
    "spawn": "os.posix_spawn(sys.executable, [sys.executable, '-c', ''], {}); return 'done'",
    "exec": "os.execv('/bin/sh', ['sh', '-c', 'true'])",
    "multiprocessing": "import multiprocessing; multiprocessing.get_context('fork').Process(target=print).start(); return 'done'",
    "thread bomb": (
        "import threading; threading.stack_size(32768)\n"
        " for _ in range(500): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n return 'done'"
    ),
    "tcp": "socket.create_connection(('127.0.0.1', PORT), 1); return 'done'",
    "tcp elsewhere": "socket.create_connection(('192.0.2.1', 80), 1); return 'done'",
    "udp": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT)); return 'done'",
    "ipv6": "socket.create_connection(('::1', PORT), 1); return 'done'",
    "listen": "socket.create_server(('127.0.0.1', 0)); return 'done'",
    "raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); return 'done'",
    "packet socket": "socket.socket(17, socket.SOCK_RAW); return 'done'",
    "netlink": "socket.socket(16, socket.SOCK_RAW, 0); return 'done'",
    "dns": "socket.getaddrinfo('example.com', 80); return 'done'",
    "unix socket": "s = socket.socket(socket.AF_UNIX); s.connect(FOLDER + '/door'); return 'done'",
    "abstract socket": "s = socket.socket(socket.AF_UNIX); s.connect(ABSTRACT); return 'done'",
    "read passwords": "open('/etc/passwd').read(); return 'done'",
    "read a secret": "open(SECRET).read(); return 'done'",
    "read the store": "open(DATABASE, 'rb').read(); return 'done'",
    "list the home": "os.listdir(HOME); return 'done' if set(os.listdir(HOME)) - {'.pyenv'} else 'no'",
    "list the root": "return 'done' if {'home', 'var', 'boot'} & set(os.listdir('/')) else 'no'",
    "read the harness": "open(HARNESS + '/tester.py').read(); return 'done'",
    "read the caller's environment": "return 'done' if 's3'+'cret' in open(f'/proc/{PID}/environ').read() else 'no'",
    "read the parent's environment": "open(f'/proc/{os.getppid()}/environ').read(); return 'done'",
    "read own environment": "return 'done' if b's3'+b'cret' in open('/proc/self/environ', 'rb').read() else 'no'",
    "open the parent's files": "return 'done' if os.listdir(f'/proc/{os.getppid()}/fd') else 'no'",
    "open the parent's memory": "open(f'/proc/{os.getppid()}/mem', 'r+b'); return 'done'",
    "environment": "return 'done' if any('s3'+'cret' in v for v in os.environ.values()) else 'no'",
    "a disk": "os.open('/dev/vda', os.O_RDONLY); os.open('/dev/sda', os.O_RDONLY); return 'done'",
    "own device": "os.mknod('disk', 0o60600, os.makedev(8, 0)); return 'done'",
    "memory device": "os.open('/dev/mem', os.O_RDONLY); return 'done'",
    "shared memory": "open('/dev/shm/burnish-x', 'w').write('x'); return 'done'",
    "symlink out": "os.symlink(SECRET, 'link'); open('link').read(); return 'done'",
    "symlink to write out": "os.symlink(FOLDER + '/new', 'link2'); open('link2', 'w').write('x'); return 'done'",
    "hard link out": "os.link(SECRET, 'link3'); open('link3').read(); return 'done'",
    "dots": "open('../' * 20 + SECRET[1:]).read(); return 'done'",
    "write outside": "open(FOLDER + '/new', 'w').write('x'); return 'done'",
    "overwrite": "open(SECRET, 'w').write('x'); return 'done'",
    "append": "os.open(SECRET, os.O_WRONLY | os.O_APPEND); return 'done'",
    "truncate": "os.truncate(SECRET, 0); return 'done'",
    "truncate by reading": "os.open(SECRET, os.O_RDONLY | os.O_TRUNC); return 'done'",
    "chmod": "os.chmod(SECRET, 0o666); return 'done'",
    "chmod by descriptor": "os.chmod(os.open(FOLDER, os.O_PATH), 0o777); return 'done'",
    "chown": "os.chown(SECRET, 1, 1); return 'done'",
    "times": "os.utime(SECRET, (0, 0)); return 'done'",
    "attributes": "os.setxattr(SECRET, 'user.x', b'x'); return 'done'",
    "unlink": "os.unlink(SECRET); return 'done'",
    "rename": "os.rename(SECRET, FOLDER + '/moved'); return 'done'",
    "move in": "os.rename(SECRET, 'mine'); return 'done'",
    "make a folder": "os.mkdir(FOLDER + '/new'); return 'done'",
    "change the library": "open(LIBRARY + '/new.py', 'w'); return 'done'",
    "truncate the library": "os.open(LIBRARY + '/abc.py', os.O_RDONLY | os.O_TRUNC); return 'done'",
    "chmod the library": "os.chmod(LIBRARY + '/abc.py', 0o777); return 'done'",
    "change the harness": "open(HARNESS + '/tester.py', 'a'); return 'done'",
    "kill the parent": "os.kill(os.getppid(), signal.SIGKILL); time.sleep(0.1); return 'done'",
    "kill the caller": "os.kill(PID, signal.SIGKILL); return 'done'",
    "probe the caller": "os.kill(PID, 0); return 'done'",
    "stop the first": "os.kill(1, signal.SIGSTOP); return 'done'",
    "kill all": "os.kill(-1, signal.SIGKILL); return 'done'",
    "kill the group": "os.killpg(0, signal.SIGKILL); return 'done'",
    "pidfd": "signal.pidfd_send_signal(os.pidfd_open(PID), 0); return 'done'",
    "signals of a file": "fcntl.fcntl(1, fcntl.F_SETOWN, PID); return 'done'",
    "which signal of a file": "fcntl.fcntl(1, fcntl.F_SETSIG, 9); return 'done'",
    "signals of a socket": "import struct; fcntl.ioctl(socket.socketpair()[0], 0x8901, struct.pack('i', PID)); return 'done'",
    "processors of the caller": "os.sched_setaffinity(PID, {0}); return 'done'",
    "priority of the caller": "os.setpriority(os.PRIO_PROCESS, PID, 19); return 'done'",
    "limits of the parent": "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1)); return 'done'",
    "higher limits": "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1)); return 'done'",
    "ptrace": "return 'done' if ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0 else 'no'",
    "become root": "os.setuid(0); os.setgid(0); open('/etc/shadow').read(); return 'done'",
    "user namespace": "return 'done' if ctypes.CDLL(None).unshare(0x10000000) == 0 else 'no'",
    "mount": "return 'done' if ctypes.CDLL(None).mount(b'x', b'/', b'tmpfs', 0, 0) == 0 else 'no'",
    "chroot": "os.chroot('.'); return 'done'",
    "set the clock": "time.clock_settime(time.CLOCK_REALTIME, 0); return 'done'",
    "host name": "socket.sethostname('x'); return 'done'",
}


@pytest.fixture(scope="module")
def reached(tmp_path_factory):
    """By walls and attack what came of it; all attacks of one kind of walls are made by one program."""
    found = {}
    for name in filter(available, WALLS):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BURNISH_TEST_SECRET", "environment-" + "s3cret")
            one = Host(tmp_path_factory.mktemp(name))
            functions = "".join(f"def attack{i}():\n {body}\n" for i, body in enumerate(REACHING_OUT.values()))
            names = "".join(f" {key!r}: attack{i},\n" for i, key in enumerate(REACHING_OUT))
            code = one.fill(f"{functions}attacks = {{\n{names}}}\ndef attack(name): return attacks[name]()\n")
            tests = f"for name in {list(REACHING_OUT)!r}:\n try: said = repr(attack(name))\n"
            tests += (
                " except Exception as e: said = f'{type(e).__name__}: {e}'\n candidate_said(name, said)\nassert False, 'through'"
            )
            code += "import json\ndef candidate_said(*a): print(json.dumps(a))\n"
            limits = dataclasses.replace(LIMITS, seconds=20.0)
            report = contained(run(code, tests, WALLS[name], limits))
            assert report["error"] == "through", report
            found[name] = dict(json.loads(line) for line in report["output"].splitlines() if line.startswith("["))
            one.check()
    return found


@pytest.mark.parametrize("attack", REACHING_OUT)
@pytest.mark.parametrize("walls_name", WALLS)
def test_code_reaches_nothing_outside(attack, walls_name, reached):
    if not available(walls_name):
        pytest.skip(f"no {walls_name} here")
    said = reached[walls_name][attack]
    assert said != "'done'"
    assert said == "'no'" or "Error" in said


@pytest.mark.parametrize("attack", ["fork bomb", "double fork", "tcp", "read a secret", "overwrite", "kill the parent", "ptrace"])
def test_a_verdict_on_an_attack_is_a_failure_with_a_reason(attack, walls, host):
    found = contained(run(host.fill(f"def attack():\n {REACHING_OUT[attack]}"), walls=walls))
    assert found["reason"] in ("exception", "test_failed")


USING_UP = {
    # name: (body, reasons that may be given)
    "loop": ("while True: pass", ["timeout"]),
    "sleep": ("time.sleep(60)", ["timeout"]),
    "loop without signals": (
        "for s in range(1, 32):\n  try: signal.signal(s, signal.SIG_IGN)\n  except OSError: pass\n while True: pass",
        ["timeout"],
    ),
    "backtracking": ("import re; re.match('(a+)+$', 'a' * 40 + 'b')", ["timeout"]),
    "one long operation": ("10 ** 10 ** 9", ["timeout", "memory"]),
    "heap": ("x = bytearray(2**30); return 'done'", ["memory"]),
    "growth": ("x = []\n while True: x.append(' ' * 10**6)", ["memory"]),
    "mapping": ("import mmap; m = mmap.mmap(-1, 2**28); return 'done'", ["exception", "memory"]),
    "memory file": ("os.write(os.memfd_create('x'), b'x' * 2**20); return 'done'", ["exception"]),
    "output": ("while True: print('x' * 1000)", ["output_limit"]),
    "errors": ("while True: sys.stderr.write('x' * 1000)", ["output_limit"]),
    "both without line ends": ("while True: os.write(1, b'\\xc3' * 999); os.write(2, b'\\xff' * 999)", ["output_limit"]),
    "one long line": ("print('x' * 10**6)", ["output_limit"]),
    "long value": ("return 'x' * 2 * 10**6", ["output_limit"]),
    "one large file": ("open('a', 'wb').write(b'x' * 2**23); return 'done'", ["exception"]),
    "sparse file": ("open('a', 'wb').truncate(2**30); return 'done'", ["exception"]),
    "large files": (
        "for i in range(40): open(str(i), 'wb').write(b'x' * 2**20)\n time.sleep(1); return 'done'",
        ["exception", "output_limit"],
    ),
    "many files": (
        "for i in range(500): open(str(i), 'wb').close()\n time.sleep(1); return 'done'",
        ["exception", "output_limit"],
    ),
    "deep folders": ("for i in range(500): os.mkdir('d'); os.chdir('d')\n return 'done'", ["exception", "output_limit"]),
    "open files": ("x = [open('/dev/null') for _ in range(500)]; return 'done'", ["exception"]),
    "pipes": ("x = [os.pipe() for _ in range(500)]; return 'done'", ["exception"]),
    "recursion": ("def f(n): return f(n + 1)\n return f(0)", ["exception"]),
    "recursion without limit": (
        "sys.setrecursionlimit(10**9)\n f = lambda n: [f(n + 1)]\n return f(0)",
        ["killed", "memory", "exception", "timeout"],
    ),
    "deep value": ("x = []\n for _ in range(10**5): x = [x]\n return x", ["exception"]),
    "cycle": ("x = []; x.append(x); return x", ["exception"]),
    "null pointer": ("ctypes.string_at(0)", ["killed"]),
    "abort": ("os.abort()", ["killed"]),
    "suicide": ("os.kill(os.getpid(), 9)", ["killed"]),
    "endless iterator": ("while True: yield 1", ["timeout", "test_failed", "memory"]),
}


@pytest.mark.parametrize(("body", "reasons"), USING_UP.values(), ids=USING_UP.keys())
def test_code_uses_up_no_more_than_it_may(body, reasons, host):
    tests = "assert list(attack()) == 'done'" if "yield" in body else "assert attack() == 'done'"
    limits = dataclasses.replace(LIMITS, seconds=0.6 if "timeout" in reasons else 5.0)
    began = time.monotonic()
    found = contained(run(host.fill(f"def attack():\n {body}"), tests, limits=limits))
    assert found["reason"] in reasons, found
    assert time.monotonic() - began < 15  # A hang guard.
    assert len(found["output"]) <= 64 * 1024


@pytest.mark.parametrize("name", ["large files", "many files", "deep folders", "one large file", "sparse file"])
@pytest.mark.skipif(not available("landlock"), reason="no Landlock here")
def test_disks_are_not_filled_without_a_file_system_of_their_own(name, host):
    body, reasons = USING_UP[name]
    assert contained(run(host.fill(f"def attack():\n {body}"), walls=WALLS["landlock"]))["reason"] in reasons


FORGERIES = {
    "exit": "import sys; sys.exit(0)",
    "exit at once": "import os; os._exit(0)",
    "exit in the function": "import sys\ndef f(x): sys.exit(0)",
    "exit at once in the function": "import os\ndef f(x): print('1 passed'); os._exit(0)",
    "exit by atexit": "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit",
    "exit when deleted": "import os\nclass E:\n  def __del__(s): os._exit(0)\nkept = E()\ndef f(x):\n  global kept\n  del kept",
    "interrupt": "def f(x): raise KeyboardInterrupt",
    "generator exit": "def f(x): raise GeneratorExit",
    "equal to everything": "class E:\n  def __eq__(s, o): return True\n  def __ne__(s, o): return False\ndef f(x): return E()",
    "equal number": "class E(int):\n  def __eq__(s, o): return True\n  __hash__ = int.__hash__\ndef f(x): return E(5)",
    "equal text": "class E(str):\n  def __eq__(s, o): return True\n  __hash__ = str.__hash__\ndef f(x): return E('x')",
    "equal list": "class E(list):\n  def __eq__(s, o): return True\ndef f(x): return E()",
    "equal type": (
        "class M(type):\n  def __eq__(s, o): return True\n  __hash__ = type.__hash__\n"
        "class E(metaclass=M): pass\ndef f(x): return E"
    ),
    "false class": (
        "class E:\n  __class__ = int\n  def __eq__(s, o): return True\n  def __index__(s): return 4\ndef f(x): return E()"
    ),
    "assertions that are no errors": "import builtins\nclass A(Exception): pass\nbuiltins.AssertionError = A\ndef f(x): return 5",
    "assertions that exit": "import builtins, sys\nbuiltins.AssertionError = lambda *a: sys.exit(0)\ndef f(x): return 5",
    "built-ins": "import builtins\nbuiltins.print = builtins.len = builtins.isinstance = lambda *a: True\ndef f(x): return 5",
    "names of built-ins": "def all(*a): return True\nabs = isinstance = all\ndef f(x): return 5",
    "names of the tests": (
        "def check(*a): pass\ncandidate = check\nassert_equal = check\nTester = Ended = check\ndef f(x): return 5"
    ),
    "another check": (
        "check = lambda c: None\n__name__ = 'tests'\n__builtins__ = {'AssertionError': Exception}\ndef f(x): return 5"
    ),
    "no exceptions": "import sys\nsys.excepthook = lambda *a: None\nsys.settrace(lambda *a: None)\ndef f(x): return 5",
    "verdicts on every descriptor": (
        "import json, os, struct\n"
        "m = json.dumps({'outcome': 'pass', 'reason': '', 'error': '', 'calls': 1, 'nonce': ''}).encode()\n"
        "for fd in range(64):\n  try: os.write(fd, struct.pack('!I', len(m)) + m)\n  except OSError: pass\ndef f(x): return 5"
    ),
    "answers on every descriptor": (
        "import json, os, struct\ndef f(x):\n  for m in (['ok', ['dict']], ['ok', ['list', 5, ['dict']]], ['end'], 'pass'):\n"
        "    m = json.dumps(m).encode()\n    os.write(4, struct.pack('!I', len(m)) + m)\n  return 5"
    ),
    "closed connection": "import os\ndef f(x): os.closerange(0, 64)",
    "rubbish": "import os\ndef f(x): os.write(4, b'\\x00\\x00\\x00\\x05rubbi')",
    "no end": "import os\ndef f(x): os.write(4, b'\\xff\\xff\\xff\\xff')",
    "no value": (
        "import json, os, struct\ndef f(x):\n"
        "  m = json.dumps(['ok', ['what', 1]]).encode(); os.write(4, struct.pack('!I', len(m)) + m)"
    ),
    "no set": (
        "import json, os, struct\ndef f(x):\n"
        "  m = json.dumps(['ok', ['set', ['list']]]).encode(); os.write(4, struct.pack('!I', len(m)) + m)"
    ),
    "another's encoder": "import sys\nsys.modules['sandbox.values'].encode = lambda v, r: ['yours', 0]\ndef f(x): return 5",
    "the tests' own objects": "import sys\ndef f(x):\n  return sys.modules['sandbox.peer'].Remote(None, 0, 'x')",
    "iterator's end": "def f(x): raise StopIteration",
    "an error that cannot be told": (
        "class E(Exception):\n  def __str__(s): raise E\n  args = property(lambda s: 1 / 0)\ndef f(x): raise E"
    ),
    "a class made among the tests": (
        "import gc, sys\ndef f(x):\n"
        "  peer = next(o for o in gc.get_objects() if isinstance(o, sys.modules['sandbox.peer'].Peer))\n"
        "  kind = peer.ask('call', type, ('E', (), {'__eq__': bool, '__module__': 'tests'}), {})[0]\n"
        "  return peer.ask('call', kind, (), {})[0]"
    ),
    "a class made of raw messages": (
        "import json, os, struct\ndef ask(*m):\n"
        "  m = json.dumps(m).encode(); os.write(4, struct.pack('!I', len(m)) + m)\n"
        "  return json.loads(os.read(3, os.read(3, 4)[3]))\n"
        "made = ['dict', ['__eq__', ['type', 'bool']], ['__module__', 'tests']]\n"
        "def f(x):\n  said = ask('ask', 'call', ['type', 'type'], ['tuple', 'E', ['tuple'], made], ['dict'])\n"
        "  ask('ok', said[1][1]); return 5"
    ),
    "an error that is none": (
        "import json, os, struct\ndef f(x):\n"
        "  m = json.dumps(['error', {'types': 5}]).encode(); os.write(4, struct.pack('!I', len(m)) + m)"
    ),
    "an error that quotes what is gone": "import os\nclass A:\n  def __repr__(s): os._exit(0)\ndef f(x): raise ValueError([A()])",
    "a result that quotes what is gone": "import os\nclass A:\n  def __repr__(s): os._exit(0)\ndef f(x): return [A()]",
    "an assertion of its own": "def f(x): raise AssertionError",
    "no result": "def f(x): pass",
    "a patched runner": (
        "import unittest\nunittest.TestCase.run = lambda *a: None\n"
        "unittest.TestResult.wasSuccessful = lambda s: True\ndef f(x): return 5"
    ),
    "a planted module": (
        "open('math.py', 'w').write('fabs = lambda x: 0')\nopen('conftest.py', 'w').write('')\ndef f(x): return 5"
    ),
    "seen in the caller's frames": (
        "import sys\ndef f(x):\n  frame = sys._getframe().f_back\n  while frame:\n"
        "    if ''.join(['marked', '-test']) in str(frame.f_locals): return 4\n    frame = frame.f_back\n  return 5"
    ),
    "seen in memory": (
        "import gc\ndef f(x):\n  for o in gc.get_objects():\n    try:\n"
        "      if ''.join(['marked', '-test']) in repr(o)[:10**5]: return 4\n"
        "    except Exception: pass\n  return 5"
    ),
}
FORGED_TESTS = (
    "'marked-test'\nimport math\nassert all(map(lambda x: f(x) == x + 2, [2, 3]))\nassert f(2) == 4\n"
    "assert math.fabs(f(2) - 4) < 1e-6"
)


@pytest.mark.parametrize("name", FORGERIES)
def test_a_result_cannot_be_forged(name):
    contained(run(FORGERIES[name], FORGED_TESTS))
    contained(run(FORGERIES[name], "'marked-test'\nassert f(2) == 4"))


@pytest.mark.parametrize(
    "name", ["exit at once", "names of built-ins", "names of the tests", "another check", "a planted module"]
)
def test_a_result_cannot_be_forged_with_an_entry_point(name):
    contained(run(FORGERIES[name], f"def check(candidate):\n  assert candidate(2) == 4\n{FORGED_TESTS}", entry="f"))


def test_an_object_of_the_codes_is_never_equal_to_a_value():
    evil = "class E:\n  def __getattr__(s, n): return lambda *a: True\n  def __contains__(s, o): return True\n"
    evil += "  __sub__ = __rsub__ = __lt__ = __gt__ = __le__ = __ge__ = __radd__ = lambda *a: 0\ndef f(x): return E()"
    claims = ("3 in f(1)", "abs(f(1) - 3) < 1", "f(1) < 3", "3 > f(1)", "f(1) in [3]", "f(1) == 3", "3 == f(1)", "{f(1): 1}[3]")
    tests = "for claim in %r:\n  try: held = eval(claim)\n  except Exception: held = False\n  assert not held, claim".replace(
        "%r", repr(claims)
    )
    assert run(evil, tests)["outcome"] == "pass"


def test_chance_and_clock_of_the_tests_are_not_the_codes():
    code = "import random, time\nrandom.random = lambda: 0.5\nrandom.seed = time.time = lambda *a: 0.0\ndef f(x): return 0.5"
    tests = "import random, time\nassert f(1) == 0.5\nassert time.time() > 1e9\nassert random.random() != random.random()"
    assert run(code, tests)["outcome"] == "pass"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of x86_64")
def test_every_denied_system_call_is_denied(walls):
    numbers = [n[0] for n in seccomp._DENIED.values()]
    if not walls.namespaces:
        numbers += [n[0] for n in seccomp._METADATA.values()]
    code = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\ndef attack(n):\n"
        "  ctypes.set_errno(0); r = libc.syscall(n, -1, -1, -1, -1, -1, -1); return r, ctypes.get_errno()"
    )
    tests = (
        f"for n in {numbers}: assert attack(n) == (-1, 1), n\n"
        f"for n in (435, 437, 452, 600, 0x40000000 | 41): assert attack(n) == (-1, 38), n"
    )
    assert run(code, tests, walls)["outcome"] == "pass"


def test_what_the_code_starts_with(walls):
    code = (
        "import os, resource, sys\ndef look():\n  fds = []\n  for fd in range(256):\n"
        "    try: os.fstat(fd); fds.append(fd)\n    except OSError: pass\n"
        "  core = resource.getrlimit(resource.RLIMIT_CORE)\n"
        "  return fds, sorted(os.environ), os.listdir('.'), sys.argv, core, os.getuid(), os.getgroups()"
    )
    tests = (
        "fds, env, files, argv, core, uid, groups = look()\nassert fds == [0, 1, 2, 3, 4], fds\n"
        "assert env == ['HOME', 'LANG', 'TMPDIR'], env"
    )
    tests += "\nassert files == [] and argv == [''] and core == (0, 0)"
    if walls.uids or walls.namespaces:
        tests += "\nassert uid != 0"
    if walls.uids:
        tests += f"\nassert groups == [] and uid >= {isolation._FIRST_UID}"
    found = run(code, tests, walls)
    assert found["outcome"] == "pass", found


def test_capabilities_are_gone(walls):
    code = (
        "import ctypes\ndef f():\n"
        "  libc = ctypes.CDLL(None); header = (ctypes.c_uint32 * 2)(0x20080522, 0); data = (ctypes.c_uint32 * 6)(*[9] * 6)\n"
        "  bounding = [libc.prctl(23, n, 0, 0, 0) for n in range(38)]\n"
        "  return libc.capget(header, data), list(data), bounding, libc.prctl(39, 0, 0, 0, 0)"
    )
    found = run(
        code,
        "r, data, bounding, nnp = f()\nassert r == 0 and not any(data) and nnp == 1, (data, nnp)\n"
        "assert 1 not in bounding[:24], bounding",
        walls,
    )
    if os.geteuid() == 0 or walls.namespaces:
        assert found["outcome"] == "pass", found


def test_the_scratch_folder_can_be_used(walls):
    code = (
        "def f(name):\n  with open(name, 'w') as g: g.write('x')\n"
        "  import os; os.rename(name, 'b'); return open('b').read(), os.listdir('.')"
    )
    assert run(code, "assert f('a') == ('x', ['b'])\nassert open('b').read() == 'x'", walls)["outcome"] == "pass"


def test_two_runs_at_once_do_not_see_each_other():
    code = "import os, time\ndef f(name):\n  open(name, 'w').close(); time.sleep(0.2); return os.listdir('.')"
    found = {}

    def one(name):
        found[name] = program.run(code, f"assert f({name!r}) == [{name!r}]", None, "", LIMITS.to_json(), FOUND.to_json())

    threads = [threading.Thread(target=one, args=(name,)) for name in "abc"]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert {f["outcome"] for f in found.values()} == {"pass"}, found


def test_a_daemon_does_not_outlive_a_weak_run(tmp_path):
    beat = tmp_path / "beat"
    code = (
        f"import os, time\ndef attack():\n  if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n      while True:\n"
        f"        open({str(beat)!r}, 'a').write('x'); time.sleep(0.01)\n    os._exit(0)\n  time.sleep(0.2); return 'done'"
    )
    walls = isolation.Layers()
    found = program.run(code, "assert attack() == 'done'", None, "", LIMITS.to_json(), walls.to_json())
    assert found["outcome"] == "pass"
    size = beat.stat().st_size
    assert size > 0
    time.sleep(0.1)
    assert beat.stat().st_size == size


def test_killing_burnish_ends_the_run(tmp_path):
    beat = tmp_path / "pid"
    script = (
        "import sys; from burnish.verifiers.sandbox import program; from burnish.verifiers.sandbox.layers import layers\n"
        "from burnish.verifiers.sandbox.limits import Limits\n"
        "program.run('def f():\\n  while True: pass', 'f()', None, '', Limits(seconds=60).to_json(), layers().to_json())"
    )
    child = psutil.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 20
    while len(below := child.children(recursive=True)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(below) == 3, beat
    child.kill()
    child.wait()
    _, alive = psutil.wait_procs(below, timeout=10)
    assert not alive
