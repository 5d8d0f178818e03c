"""Cells whose outputs a client can see, by what they are about.

A case is a name and its cells; cells of one case may depend on each other.
"""

from __future__ import annotations

PLAIN: list[tuple[str, list[str]]] = [
    ("print", ["print('a line')"]),
    ("print without newline", ["print('no end', end='')"]),
    ("two prints merge", ["print(1); print(2)"]),
    ("stderr", ["import sys; print('warned', file=sys.stderr)"]),
    (
        "both streams",
        ["import sys\nprint('out'); sys.stdout.flush()\nprint('err', file=sys.stderr)"],
    ),
    ("carriage returns", ["print('10%\\r20%\\r30%')"]),
    ("ansi colours", ["print('\\x1b[31mred\\x1b[0m')"]),
    ("unicode", ["print('ünïcode ☃ 𝒳 \\u2028 end')"]),
    ("null character", ["print('a\\0b')"]),
    ("empty print", ["print('', end='')"]),
    ("ten thousand lines", ["for i in range(10_000): print(i)"]),
    ("one long line", ["print('x' * 300_000)"]),
    ("writelines", ["import sys; sys.stdout.writelines(['a', 'b\\n'])"]),
    ("flush often", ["import sys\nfor i in range(50): print(i, flush=True)"]),
    ("file descriptor", ["import os, time; os.write(1, b'raw\\n'); time.sleep(0.3)"]),
    ("logging", ["import logging; logging.warning('careful')"]),
    ("warnings", ["import warnings; warnings.warn('so and so')"]),
    ("result", ["1 + 1"]),
    ("result of text", ["'text'"]),
    ("none is no result", ["None"]),
    ("semicolon hides", ["5;"]),
    ("last expression only", ["1\n2"]),
    ("result with html", ["from IPython.display import HTML; HTML('<b>x</b>')"]),
    ("large result", ["list(range(2000))"]),
    (
        "several types",
        [
            "from IPython.display import display\n"
            "display({'text/plain': 'p', 'text/html': '<i>h</i>', 'a/b': 'c'}, raw=True)"
        ],
    ),
    (
        "display with metadata",
        ["display({'text/plain': 'p'}, raw=True, metadata={'text/plain': {'k': 1}})"],
    ),
    ("two displays and a result", ["display(1); display(2); 3"]),
    ("display between prints", ["print('a'); display('b'); print('c')"]),
    (
        "markdown and latex",
        [
            "from IPython.display import Markdown, Latex, Math\n"
            "display(Markdown('*m*'), Latex('$x$'), Math('y'))"
        ],
    ),
    ("json", ["from IPython.display import JSON; JSON({'a': [1, {'b': None}]})"]),
    ("javascript", ["from IPython.display import Javascript; Javascript('1')"]),
    (
        "svg",
        ["from IPython.display import SVG; SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')"],
    ),
    (
        "image bytes",
        [
            "from IPython.display import Image\nimport base64\n"
            "Image(base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4"
            "2mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='))"
        ],
    ),
    ("update own display", ["h = display('first', display_id=True); h.update('second')"]),
    (
        "update of another cell",
        ["h = display('one', display_id='d1'); print('x')", "h.update('two')"],
    ),
    (
        "update twice shown",
        ["h = display('a', display_id='d2')", "h.display('b')", "h.update('c')"],
    ),
    (
        "update of nothing",
        ["from IPython.display import update_display\nupdate_display('z', display_id='nobody')"],
    ),
    (
        "clear",
        ["from IPython.display import clear_output\nprint('gone'); clear_output(); print('stays')"],
    ),
    ("clear with wait", ["print('gone'); clear_output(wait=True); print('stays')"]),
    ("clear with wait and nothing after", ["print('stays'); clear_output(wait=True)"]),
    ("clear everything", ["print('gone'); display('gone'); clear_output()"]),
    (
        "clear a display then update it",
        ["h = display('a', display_id='d3'); clear_output(); h.update('b')"],
    ),
    ("error", ["1 / 0"]),
    ("error after print", ["print('before'); raise ValueError('bad')"]),
    ("error of own type", ["class Odd(Exception): pass\nraise Odd('odd ☃')"]),
    (
        "chained error",
        ["try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e"],
    ),
    ("syntax error", ["def f(:"]),
    ("indentation error", ["if True:\nprint(1)"]),
    ("keyboard interrupt", ["raise KeyboardInterrupt"]),
    ("system exit", ["import sys; sys.exit('bye')"]),
    ("name error in function", ["def g():\n    return missing\ng()"]),
    ("error with several arguments", ["raise Exception('one', 2)"]),
    ("awaited", ["import asyncio; await asyncio.sleep(0.01); print('slept')"]),
    ("awaited error", ["async def fails(): raise OSError('x')\nawait fails()"]),
    ("awaited result", ["async def seven(): return 7\nawait seven()"]),
    (
        "tasks",
        [
            "async def say(n):\n    await asyncio.sleep(0.01 * n); print(n)\n"
            "await asyncio.gather(*map(say, range(4)))"
        ],
    ),
    ("shell", ["!echo from the shell"]),
    ("shell with stderr", ["!echo err 1>&2; sleep 0.3"]),
    ("shell into variable", ["x = !echo listed\nx"]),
    ("bash cell", ["%%bash\necho one\necho two >&2"]),
    ("bash cell that fails", ["%%bash\nexit 3"]),
    ("subprocess", ["import subprocess, time; subprocess.run(['echo', 'child']); time.sleep(0.3)"]),
    ("time magic", ["%time _ = 1"]),
    ("capture magic", ["%%capture kept\nprint('hidden')", "kept.stdout"]),
    (
        "redirected",
        [
            "import io, contextlib\n"
            "with contextlib.redirect_stdout(io.StringIO()) as s: print('h')",
            "s.getvalue()",
        ],
    ),
    ("magic help", ["%lsmagic"]),
    ("time of a cell", ["%%time\nprint('timed')\n5"]),
    ("html cell", ["%%html\n<b>cell</b>"]),
    ("javascript cell", ["%%javascript\n1"]),
    ("script by run", ["%%writefile ran.py\nprint('ran')", "%run ran.py"]),
    ("capture shown again", ["%%capture again\nprint('p'); display(1); 2", "again.show()"]),
    ("timeit", ["%timeit -n1 -r1 pass\nclear_output()"]),
    ("nested run_cell", ["get_ipython().run_cell('print(\"inner\"); 5'); print('outer'); 6"]),
    ("nested run_cell with error", ["r = get_ipython().run_cell('1/0'); print('goes on')"]),
    (
        "thread",
        [
            "import threading\n"
            "t = threading.Thread(target=print, args=('threaded',)); t.start(); t.join()"
        ],
    ),
    (
        "several threads",
        [
            "ts = [threading.Thread(target=print, args=('t',)) for _ in range(8)]\n"
            "for t in ts: t.start()\nfor t in ts: t.join()"
        ],
    ),
    (
        "forked child",
        [
            "import os, sys, time\npid = os.fork()\n"
            "if pid == 0:\n    print('from the child'); sys.stdout.flush(); os._exit(0)\n"
            "os.waitpid(pid, 0); time.sleep(0.5)"
        ],
    ),
    (
        "multiprocessing",
        [
            "import multiprocessing as mp\n"
            "p = mp.get_context('fork').Process(target=print, args=('worker',))\n"
            "p.start(); p.join()\n"
            "time.sleep(0.5)"
        ],
    ),
    (
        "invalid utf-8",
        ["os.write(1, b'a\\xff\\xfe\\xc3b\\n'); time.sleep(0.3)", "!printf 'c\\377d\\n'"],
    ),
    ("a real interrupt", ["import signal\nos.kill(os.getpid(), signal.SIGINT); time.sleep(5)"]),
    (
        "task that fails",
        [
            "async def odd(): raise ValueError('odd')\nt = asyncio.ensure_future(odd())\n"
            "await asyncio.sleep(0.05); print(t.exception())"
        ],
    ),
    (
        "display from a thread",
        ["t = threading.Thread(target=display, args=('shown',)); t.start(); t.join()"],
    ),
    (
        "progress bar",
        ["for n in range(50):\n    print(f'\\r{n}/50', end='', file=sys.stderr, flush=True)"],
    ),
    (
        "clear in a loop",
        ["for n in range(50):\n    clear_output(wait=True); print(n); display(n)"],
    ),
    (
        "update after an error",
        ["h = display('a', display_id='d9'); 1 / 0", "h.update('b'); h.display('c'); 1 / 0"],
    ),
    (
        "prints and displays from the bottom of the stack",
        [
            # Not so deep that a client is sent more than the 1,000 messages that it holds.
            "import inspect, sys\n"
            "limit = sys.getrecursionlimit()\n"
            "def deep(n):\n    print(n); display({'text/plain': 'd'}, raw=True); deep(n + 1)\n"
            "sys.setrecursionlimit(len(inspect.stack()) + 200)\n"
            "try: deep(0)\nexcept RecursionError: print('deep enough')\n"
            "finally: sys.setrecursionlimit(limit)",
        ],
    ),
    ("many displays", ["for n in range(500): display({'text/plain': str(n)}, raw=True)"]),
    (
        "metadata of a result",
        ["from IPython.display import Image\nImage(b'GIF89a', format='gif', width=3)"],
    ),
    ("lone surrogate", ["print('a\\udc80b')"]),
    ("empty cell", [""]),
    ("comment only", ["# nothing"]),
    ("assignment", ["y = 3"]),
    ("the same cell again", ["z = 0", "z += 1; print(z)", "z += 1; print(z)"]),
    ("pprint off and on", ["%pprint\n{'a': 1}", "%pprint"]),
    ("repr that raises", ["class R:\n    def __repr__(self): raise RuntimeError('no repr')\nR()"]),
    ("repr that prints", ["class P:\n    def __repr__(self): print('side'); return 'P!'\nP()"]),
    (
        "exception in display formatter",
        ["class H:\n    def _repr_html_(self): raise RuntimeError('no html')\nH()"],
    ),
    ("interactive help", ["print.__doc__[:5]"]),
    ("page", ["len?"]),
]

LARGE: list[tuple[str, list[str]]] = [
    ("100 MB at once", ["print('x' * 100_000_000)"]),
    ("20 MB of HTML", ["from IPython.display import HTML; HTML('<b>x</b>' * 2_500_000)"]),
    ("60 MB of lines", ["for n in range(600): print('y' * 99_999)"]),
]

WIDGETS: list[tuple[str, list[str]]] = [
    (
        "slider",
        [
            "import ipywidgets as w\nfrom IPython.display import display\n"
            "slider = w.IntSlider(value=3); slider",
            "slider.value = 7; slider.description = 'moved'",
        ],
    ),
    (
        "binary buffers",
        ["image = w.Image(value=bytes(range(256))); image", "image.value = b'other' * 50_000"],
    ),
    ("nested", ["box = w.VBox([slider, w.HBox([w.Text('t'), w.Button()])]); display(box)"]),
    (
        "output widget",
        [
            "out = w.Output(); display(out)\nwith out:\n    print('inside'); display('shown')\n"
            "print('outside')",
            "with out:\n    print('more')\n    1 / 0",
            "out.clear_output()\nwith out: print('again')",
        ],
    ),
    ("interact", ["@w.interact(x=3)\ndef f(x): print('f of', x); return x * 2"]),
]

FIGURES: list[tuple[str, list[str]]] = [
    ("figure", ["%matplotlib inline\nimport matplotlib.pyplot as plt\n_ = plt.plot([1, 3, 2])"]),
    ("two figures", ["for _ in range(2):\n    plt.figure(); plt.plot([1]); plt.show()"]),
    ("figure as result", ["f, a = plt.subplots(); plt.close(); f"]),
    ("data frame", ["import pandas as pd; pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})"]),
    ("styled data frame", ["pd.DataFrame({'a': [1]}).to_html()"]),
]
