#!/usr/bin/env python3
"""load.py URL PID SECONDS [CLIENTS]: many clients at once, beside 1,000 connections on which nothing is asked.

CLIENTS (200) ask /predict on connections of their own for SECONDS. Every answer must be the same, no connection may be lost,
and the memory of process PID must not grow once all have asked. It prints requests, threads and memory.
"""

import socket
import sys
import threading
import time
import urllib.parse

URL, PID, SECONDS = urllib.parse.urlparse(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
CLIENTS = int(sys.argv[4]) if len(sys.argv) > 4 else 200
BODY = b'{"inputs": "a warm and funny film"}'
ASK = (b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)) + BODY
HEALTH = b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n"
answers, faults = set(), []
counts = [0] * CLIENTS


def process():
    """Resident MiB, and threads."""
    with open(f"/proc/{PID}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["Threads"])


def connect():
    peer = socket.create_connection((URL.hostname, URL.port))
    peer.settimeout(60)
    return peer


def read(peer):
    """One answer: its first line and its body."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = peer.recv(65536)
        if not more:
            raise OSError("closed")
        got += more
    head, body = got.split(b"\r\n\r\n", 1)
    size = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < size:
        body += peer.recv(65536)
    return head.split(b"\r\n")[0], body


def ask(number, end):
    peer = connect()
    try:
        while time.monotonic() < end:
            peer.sendall(ASK)
            status, body = read(peer)
            if b" 200 " not in status + b" ":
                faults.append(status)
            answers.add(body)
            counts[number] += 1
    except OSError as error:
        faults.append(error)


idle = [connect() for _ in range(1000)]
for peer in idle:
    peer.sendall(HEALTH)
    read(peer)
print("1,000 idle connections: %.0f MiB, %d threads, those of the driver among them" % process())
end = time.monotonic() + SECONDS
threads = [threading.Thread(target=ask, args=(i, end)) for i in range(CLIENTS)]
for thread in threads:
    thread.start()
time.sleep(SECONDS / 2)
half, _ = process()
for thread in threads:
    thread.join()
full, _ = process()
for peer in idle:
    peer.sendall(HEALTH)
    read(peer)
print(f"{CLIENTS} clients, {SECONDS:.0f} s: {sum(counts)} answers, {len(faults)} faults, {half:.0f} MiB at half time, {full:.0f} at the end")
sys.exit(0 if not faults and len(answers) == 1 and full < half + 16 else str(faults[:3]))
