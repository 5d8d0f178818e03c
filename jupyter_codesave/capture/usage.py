"""What %codesave? shows."""

HELP = """Save the code of this session, and look after what is saved.

    %codesave                              show the state, and who decided it
    %codesave on | off                     record the cells that follow, or do not
    %codesave save GLOB [--base-path P] [--policy live|now|end]
    %codesave log_code [ROOT] [--name N] [--dry-run]
    %codesave init [--project P] [--name N]
    %codesave finish
    %codesave forget [last|CELL_ID]        remove an execution everywhere
    %codesave runs                         list the runs
    %codesave diff [BASE [HEAD]]           compare two runs; alone: the last two

    %%codesave skip                        run this cell without recording it
"""

COMMANDS = {
    "on": (),
    "off": (),
    "save": ("--base-path", "--policy"),
    "log_code": ("--name", "--dry-run"),
    "init": ("--project", "--name"),
    "finish": (),
    "forget": ("last",),
    "runs": ("--limit", "--project", "--notebook"),
    "diff": ("@1", "@2", "--stat", "--sources-only"),
    "skip": (),
}
WIDTH = "CODESAVE_TABLE_WIDTH"  # tells the command line that people read what it pipes
POLICIES = ("live", "now", "end")
