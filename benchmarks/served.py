"""A page in a process of its own, for the benchmarks that visit one."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent


class Served:
    """`command`, given ``--port``, run until it listens and answers; by default the page itself (Linux).

    url: where it is. seconds, processor_seconds_then: from its start until it listened.
    """

    def __init__(self, *command: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, *(command or ("app.py",)), "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"},
            stdout=subprocess.DEVNULL,
        )
        while not self._listens(port):
            time.sleep(0.01)
        self.seconds, self.processor_seconds_then = time.perf_counter() - start, self.processor_seconds()
        urllib.request.urlopen(f"{self.url}/config", timeout=60).close()

    def _listens(self, port: int) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"ended with {self.process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    def memory(self, kind: str = "VmRSS") -> float:
        """Resident memory in MB; VmHWM for the most there ever was."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{kind}:")[1].split()[0]) / 1024

    def processor_seconds(self) -> float:
        """What it has computed so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def forget_peak(self) -> None:
        """Starts VmHWM anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
