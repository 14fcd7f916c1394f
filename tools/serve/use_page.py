#!/usr/bin/env python3
"""use_page.py FOLDER URL KEYED_URL KEY [AXE]: use the server's page as a person would, in headless Chromium.

At the widths of a desktop and of a phone it types, presses keys and looks at what appears; each step leaves a screenshot
in FOLDER. URL is a server that asks for no key, KEYED_URL one that asks for KEY. AXE is a file with axe-core, which looks
for what keeps people out. Chromium is driven by Debian's chromium-driver, through WebDriver; Python needs no package.
"""

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

CONTROL, ENTER, HOME, END, LEFT, RIGHT = "\ue009", "\ue007", "\ue011", "\ue010", "\ue012", "\ue014"
SIZES = {"desktop": (1280, 800, "light"), "phone": (360, 740, "dark")}
WANTED = (
    "text-classification",
    "zero-shot-classification",
    "token-classification",
    "question-answering",
    "fill-mask",
    "coherence",
    "multiple-choice",
    "moderate",
    "sentence-similarity",
    "rerank",
    "search",
    "summarization",
    "score",
    "tokenize",
)
PANEL = "document.querySelector('[role=tabpanel]:not([hidden])')"


class Browser:
    """One Chromium, through one chromedriver; leave it by close()."""

    def __init__(self, folder):
        self.folder = folder
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in self.driver.stdout:
            if "successfully on port " in line:
                self.base = "http://127.0.0.1:" + line.rsplit("port ", 1)[1].strip(" .\n")
                break
        arguments = ["--headless=new", "--disable-gpu", "--hide-scrollbars"]
        if os.getuid() == 0:
            arguments.append("--no-sandbox")  # Chromium has none for root
        self.session = ""
        made = self.post(
            "/session",
            {
                "capabilities": {
                    "alwaysMatch": {
                        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
                        "goog:chromeOptions": {"args": arguments},
                    }
                }
            },
        )
        self.session = "/session/" + made["sessionId"]

    def close(self):
        self.send("DELETE", "")
        self.driver.terminate()
        self.driver.wait()

    def send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.base + self.session + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def post(self, path, body):
        return self.send("POST", path, body)

    def js(self, expression, *arguments):
        return self.post("/execute/sync", {"script": "return " + expression, "args": list(arguments)})

    def devtools(self, command, **params):
        return self.post("/goog/cdp/execute", {"cmd": command, "params": params})

    def evaluate(self, expression):
        """As from the console of the developer's tools, which the page's policy does not bind."""
        said = self.devtools("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def size(self, width, height, scheme):
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url):
        self.post("/url", {"url": "about:blank"})
        self.post("/url", {"url": url})

    def press(self, *keys, control=False):
        """Keys go down and up, one after the other, at what has the focus."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        if control:
            actions = [{"type": "keyDown", "value": CONTROL}, *actions, {"type": "keyUp", "value": CONTROL}]
        self.post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def click(self, selector):
        element = self.js("document.querySelector(arguments[0])", selector)
        assert element, f"{selector} is not there"
        self.post(f"/element/{next(iter(element.values()))}/click", {})

    def write(self, name, text):
        """Into a field of the panel, in place of what is there."""
        self.js(f"{PANEL}.querySelector(arguments[0]).focus()", f"[name={name}]")
        self.press("a", control=True)
        self.press(*text)

    def wait(self, condition, *arguments, seconds=20):
        """Until an expression is true, which it returns."""
        end = time.monotonic() + seconds
        while True:
            value = self.js(condition, *arguments)
            if value:
                return value
            assert time.monotonic() < end, f"never came: {condition} {arguments}; the page says: {self.text()}"
            time.sleep(0.1)

    def text(self):
        return self.js("document.querySelector('main').innerText")

    def picture(self, name):
        with open(os.path.join(self.folder, name + ".png"), "wb") as file:
            file.write(base64.b64decode(self.send("GET", "/screenshot")))

    def log(self, kind):
        return self.post("/se/log", {"type": kind})


class Person:
    """Who uses the page at one size."""

    def __init__(self, browser, size, axe):
        self.browser, self.size, self.axe = browser, size, axe

    def go(self, task):
        self.browser.click(f"#tab-{task}")
        self.browser.wait(f"{PANEL}.id === arguments[0]", f"panel-{task}")

    def run(self):
        """Ctrl+Enter, and the answer of that."""
        self.browser.js(f"{PANEL}.querySelector('output').replaceChildren()")
        self.browser.press(ENTER, control=True)
        self.answered()

    def answered(self):
        self.browser.wait(f"{PANEL}.querySelector('output:not([aria-busy])')?.childElementCount")

    def bars(self):
        """[label, score] of each bar."""
        rows = self.browser.js(
            f"[...{PANEL}.querySelectorAll('.bars li')].map(row => "
            "[row.querySelector('.label').textContent, Number(row.querySelector('.score').textContent)])"
        )
        shares = self.browser.js(
            f"[...{PANEL}.querySelectorAll('.bar')].map(bar => [bar.getBoundingClientRect().width, "
            "parseFloat(getComputedStyle(bar, '::before').width)])"
        )
        for (_, score), (width, filled) in zip(rows, shares):
            assert abs(filled - max(0, score) * width) < 2, f"a bar of {score} has {filled} of {width} pixels"
        return rows

    def marks(self):
        return self.browser.js(f"[...{PANEL}.querySelectorAll('mark')].map(mark => mark.firstChild.data)")

    def look(self, name):
        """A picture; nothing is wider than the screen; axe has nothing to say."""
        self.browser.picture(f"{name}-{self.size}")
        width = SIZES[self.size][0]
        wide = self.browser.js("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} pixels wide on a screen of {width}"
        if self.axe:
            self.browser.evaluate(self.axe)
            found = self.browser.evaluate(
                "axe.run().then(said => JSON.stringify(said.violations.map(violation => violation.help"
                " + ': ' + violation.nodes.map(node => node.html).join(', '))))"
            )
            assert found == "[]", f"axe on {name}: {found}"

    # ---- what the person does ----

    def tabs(self):
        names = self.browser.js("[...document.querySelectorAll('[role=tab]')].map(tab => tab.id.slice('tab-'.length))")
        missing = set(WANTED) - set(names)
        assert not missing, f"no tab for {missing}"
        self.browser.click(f"#tab-{names[0]}")
        chosen = "document.activeElement.getAttribute('aria-selected') === 'true' && document.activeElement.id.slice(4)"
        for key, name in (
            (RIGHT, names[1]),
            (LEFT, names[0]),
            (LEFT, names[-1]),
            (RIGHT, names[0]),
            (END, names[-1]),
            (HOME, names[0]),
        ):
            self.browser.press(key)
            assert self.browser.js(chosen) == name, f"{key!r} leads to {self.browser.js(chosen)}, not to {name}"
            assert self.browser.js(f"{PANEL}.id") == f"panel-{name}"
        self.browser.press("\ue004")
        assert self.browser.js(
            f"{PANEL}.contains(document.activeElement)"
        ), "Tab does not lead from the tab into its panel"

    def classify(self):
        self.go("text-classification")
        self.browser.write("inputs", "an hour too long and not one laugh")
        self.browser.wait(f"{PANEL}.querySelector('.bars')")  # by itself, when the keys rest
        assert self.bars()[0][0] == "NEGATIVE", self.bars()
        self.browser.write("inputs", "a joy from the first minute to the last")
        self.run()
        bars = self.bars()
        assert bars[0][0] == "POSITIVE" and abs(sum(score for _, score in bars) - 1) < 2e-4, bars
        facts = self.browser.js(f"{PANEL}.querySelector('.facts').textContent")
        for fact in ("queue", "tokenize", "device", "ms", "layers"):
            assert fact in facts, f"no {fact} in {facts}"
        # The curl line is an answer too, whatever the text holds.
        self.browser.write("inputs", 'it\'s "so" \\ $HOME `good`')
        self.run()
        line = self.browser.js(f"{PANEL}.querySelector('pre').textContent")
        said = json.loads(
            subprocess.run(line.replace("curl ", "curl -sS ", 1), shell=True, check=True, stdout=subprocess.PIPE).stdout
        )
        assert [[row["label"], round(row["score"], 4)] for row in said] == self.bars(), f"{line} answers {said}"
        self.look("classify")

    def exits(self):
        """With patience a text leaves before the last layer, and the page says where."""
        self.go("text-classification")
        self.browser.write("inputs", "a warm film")
        for name, typed in (("model", "exits"), ("patience", "1")):
            self.browser.js(f"{PANEL}.querySelector(arguments[0]).focus()", f"[name={name}]")
            self.browser.press(*typed)
            assert self.browser.js(f"{PANEL}.querySelector(arguments[0]).value", f"[name={name}]") == typed
        self.run()
        facts = self.browser.js(f"{PANEL}.querySelector('.facts').textContent")
        assert "layers 2 of 6" in facts, facts
        self.look("exits")

    def entities(self):
        self.go("token-classification")
        text = "😀 Marie Curie is in Paris tonight"  # the emoji is one character, and two of JavaScript's
        self.browser.write("inputs", text)
        self.run()
        assert self.marks() == ["Marie Curie", "Paris"], self.marks()
        assert [label for label, _ in self.bars()] == ["Marie Curie (person)", "Paris (location)"], self.bars()
        said = self.browser.js(
            f"[...{PANEL}.querySelector('.text').childNodes].map(n => n.firstChild?.data ?? n.data).join('')"
        )
        assert said == text, f"the text became {said}"
        self.look("entities")

    def answer(self):
        self.go("question-answering")
        self.browser.js(f"{PANEL}.querySelector('textarea').focus()")
        self.run()
        bars = self.bars()
        assert len(bars) == 3 and bars[0][0] == "Ada Lovelace" and self.marks() == ["Ada Lovelace"], (
            bars,
            self.marks(),
        )
        self.browser.js(f"{PANEL}.querySelectorAll('.bars button')[1].focus()")
        self.browser.press(ENTER)
        assert self.marks() == [bars[1][0]], "the second answer is not marked"
        self.look("answer")

    def fill(self):
        self.go("fill-mask")
        self.browser.write("inputs", "She opened the [MASK].")
        self.run()
        bars = self.bars()
        assert len(bars) == 5 and bars == sorted(bars, key=lambda bar: -bar[1]), bars
        self.browser.click("[role=tabpanel]:not([hidden]) button[type=button]")  # Add [MASK]
        assert self.browser.js(f"{PANEL}.querySelector('textarea').value").count("[MASK]") == 2
        self.run()
        assert len(self.bars()) == 10, "two masks have five fillings each"
        self.look("fill-mask")

    def order(self):
        self.go("coherence")
        self.browser.js(f"{PANEL}.querySelector('textarea').focus()")
        self.run()
        bars = self.bars()
        assert [label for label, _ in bars] == ["in order", "swapped"] and abs(bars[0][1] + bars[1][1] - 1) < 2e-4, bars
        self.look("order")

    def search(self):
        self.go("search")
        self.browser.js(f"{PANEL}.querySelector('input').focus()")
        self.run()
        assert self.bars()[0][0] == "The cat sleeps on the sofa.", self.bars()

    def similarity(self):
        self.go("sentence-similarity")
        self.browser.write(
            "inputs", "The cat sleeps.\n\nA kitten naps.\nThe train was late.\n<b onclick=alert(1)>x</b>"
        )
        self.run()
        rows = self.browser.js(
            f"[...{PANEL}.querySelectorAll('tbody tr')].map(row => "
            "[...row.querySelectorAll('td')].map(cell => Number(cell.textContent)))"
        )
        assert len(rows) == 4 and all(len(row) == 4 for row in rows), rows
        for i, row in enumerate(rows):
            assert row[i] == 1 and all(row[j] == rows[j][i] for j in range(4)), rows
        assert not self.browser.js(f"{PANEL}.querySelector('b')"), "a text became HTML"
        self.look("similarity")

    def others(self):
        for task in self.browser.js(
            "[...document.querySelectorAll('[role=tab]')].map(tab => tab.id.slice('tab-'.length))"
        ):
            self.go(task)
            self.browser.js(f"{PANEL}.querySelector('input, textarea').focus()")
            self.run()
            assert not self.browser.js(f"{PANEL}.querySelector('.error')"), f"{task}: {self.text()}"
            self.look(task)

    def text(self):
        return self.browser.js(f"{PANEL}.querySelector('output').innerText")

    # ---- what goes wrong ----

    def types_on(self):
        """On a slow line: what was asked is taken back by the next key."""
        self.go("text-classification")
        self.browser.log("performance")
        self.browser.devtools("Network.enable")
        slow = {"offline": False, "downloadThroughput": -1, "uploadThroughput": -1}
        self.browser.devtools("Network.emulateNetworkConditions", latency=2000, **slow)
        self.browser.write("inputs", "dreadful")
        self.browser.press(ENTER, control=True)
        self.browser.wait(f"{PANEL}.querySelector('output[aria-busy]')")
        self.browser.write("inputs", "a lovely film")
        self.browser.devtools("Network.emulateNetworkConditions", latency=0, **slow)
        self.run()
        cancelled = [
            entry
            for entry in self.browser.log("performance")
            if '"Network.loadingFailed"' in entry["message"] and '"canceled":true' in entry["message"]
        ]
        assert cancelled, "the first request was not cancelled"
        assert self.bars()[0][0] == "POSITIVE", self.bars()

    def fails(self):
        self.go("text-classification")
        self.browser.write("inputs", "   ")
        self.run()
        assert "needs a text" in self.text(), self.text()
        self.browser.write("inputs", "a film")
        self.browser.devtools(
            "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )
        self.run()
        assert "does not answer" in self.text(), self.text()
        self.look("offline")
        self.browser.devtools(
            "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )
        self.go("sentence-similarity")
        many = "\n".join(["a"] * 200)
        self.browser.js(f"{PANEL}.querySelector('textarea').value = arguments[0]", many)
        self.browser.js(f"{PANEL}.querySelector('textarea').focus()")
        self.run()
        assert "status 4" in self.text(), f"200 texts at once: {self.text()}"
        self.look("refused")

    def sealed(self, url):
        """The policy: no script but the page's, no other server, nothing in storage."""
        self.browser.js(
            "(() => { try { const s = document.createElement('script'); s.append('window.hole = 1');"
            " document.head.append(s); } catch {} })()"
        )
        assert self.browser.js("window.hole ?? null") is None, "an injected script ran"
        other = url.replace("127.0.0.1", "localhost")
        self.browser.js("fetch(arguments[0]).then(() => { window.left = 1; }, () => { window.left = 0; })", other)
        assert self.browser.wait("'left' in window && [window.left]") == [0], "the page reached another server"
        assert self.browser.js("[document.cookie, localStorage.length, sessionStorage.length].join()") == ",0,0"

    def gauges(self):
        """They have numbers, once something has run between two looks."""
        self.go("text-classification")
        for _ in range(10):  # a look may also come amid a run, and sees only some of it
            self.browser.js(f"{PANEL}.querySelector('textarea').focus()")
            self.run()
            time.sleep(2.5)
            values = self.browser.js("[...document.querySelectorAll('dd')].map(value => value.textContent)")
            if "–" not in values:
                break
        numbers = [float(value) for value in values]
        assert len(numbers) == 5 and numbers[1] > 0 and numbers[2] > 0 and 0 < numbers[3] <= 6, numbers


def with_key(browser, size, url, key):
    person = Person(browser, size, None)
    browser.open(url)
    browser.wait("!document.querySelector('#key').hidden")
    for typed, says in (("wrong", "does not take this API key"), (key, None)):
        browser.js("document.querySelector('#key input').focus()")
        browser.press(*typed, ENTER)
        if says:
            browser.wait(
                "!document.querySelector('#key').hidden && document.querySelector('#notice').textContent.includes(arguments[0])",
                says,
            )
            browser.picture(f"key-{size}")
            browser.js("document.querySelector('#key input').select()")
    browser.wait("document.querySelector('[role=tab]')")
    person.go("text-classification")
    browser.write("inputs", "a warm film")
    person.run()
    assert person.bars(), person.text()
    held = browser.js(
        "JSON.stringify([document.documentElement.outerHTML, location.href, {...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert key not in held, "the key stands in the page, the address or a storage"
    assert "$REPRISE_API_KEY" in browser.js(f"{PANEL}.querySelector('pre').textContent")
    browser.open(url)
    browser.wait("!document.querySelector('#key').hidden")


def main():
    folder, url, keyed, key = sys.argv[1:5]
    axe = open(sys.argv[5], encoding="utf-8").read() if len(sys.argv) > 5 else None
    browser = Browser(folder)
    try:
        colours = set()
        for size, screen in SIZES.items():
            browser.size(*screen)
            browser.open(url)
            browser.wait("document.querySelector('[role=tab]')")
            colours.add(browser.js("getComputedStyle(document.body).backgroundColor"))
            person = Person(browser, size, axe)
            for step in (
                person.tabs,
                person.classify,
                person.exits,
                person.entities,
                person.answer,
                person.fill,
                person.order,
                person.search,
                person.similarity,
                person.others,
                person.gauges,
                person.types_on,
            ):
                step()
                print(f"{size}: {step.__name__}", flush=True)
            person.sealed(url)
            person.fails()
            with_key(browser, size, keyed, key)
            print(f"{size}: sealed, fails, with_key", flush=True)
        assert len(colours) == 2, "dark and light are the same"
    finally:
        browser.close()


if __name__ == "__main__":
    main()
