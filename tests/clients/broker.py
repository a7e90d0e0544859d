"""A broker of one's own for the clients, whose providers are all the fake one."""
import json
import os
import pwd
import subprocess
import time

PROVIDERS = ("claude", "anthropic", "openai", "codex", "gemini")
USER = "daemon"


class Broker:
    def __init__(self, build, directory, base):
        self.cli, self.exec = f"{build}/broker-cli", f"{build}/broker-exec"
        self.state, self.run, config = f"{directory}/s", f"{directory}/r", f"{directory}/c"
        os.mkdir(config)
        os.chmod(config, 0o755)
        # JSON is YAML
        upstreams = [{"provider": p, "origin": base, "private": True} for p in PROVIDERS]
        with open(f"{config}/broker.yaml", "w") as f:
            json.dump({"upstreams": upstreams}, f)
        os.chmod(f"{config}/broker.yaml", 0o644)
        self.environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CREDENTIAL_BROKER_RUN": self.run}
        pwd.getpwnam(USER)
        self.log = open(f"{directory}/broker.log", "wb")
        self.process = subprocess.Popen([f"{build}/brokerd", "--state", self.state, "--run", self.run, "--config", f"{config}/broker.yaml", "--user", USER],
                                        env=self.environ, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.await_answer()
        self.do("init", "--key", "keyfile", "--path", f"{self.state}/master.key")
        self.enrolled = set()

    def do(self, *arguments, given=None):
        done = subprocess.run([self.cli, *arguments], env=self.environ, input=given, capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise RuntimeError(f"broker-cli {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def await_answer(self):
        for _ in range(500):
            if subprocess.run([self.cli, "status"], env=self.environ, capture_output=True).returncode == 0:
                return
            time.sleep(0.02)
        raise RuntimeError("the broker did not come up")

    def give(self, consumer, credential, provider, sample, *limits):
        """A consumer that may use this credential by the proxy only; the directory of its socket."""
        if credential not in self.enrolled:
            with open(sample) as f:
                self.do("enroll", credential, "--provider", provider, given=f.read())
            self.enrolled.add(credential)
        self.do("consumer", "add", consumer)
        self.do("grant", consumer, credential, "--deliver", "proxy", *(limits or ("--ttl", "5m")))
        return f"{self.run}/{consumer}"

    def issued(self, consumer):
        """How many leases it was given so far."""
        lines = [json.loads(line) for line in self.do("audit", "export").splitlines()]
        return sum(line.get("event") == "lease.issue" and line.get("consumer") == consumer for line in lines)

    def end(self):
        self.process.terminate()
        self.process.wait(10)
