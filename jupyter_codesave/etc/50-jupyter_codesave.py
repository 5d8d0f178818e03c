def _jupyter_codesave_startup() -> None:
    """Load jupyter_codesave into this IPython; a fault is silent, the session goes on."""
    try:
        from jupyter_codesave.capture.extension import startup

        startup()
    except BaseException:  # noqa: S110 - nothing of ours may reach the user's session
        pass


_jupyter_codesave_startup()
del _jupyter_codesave_startup
