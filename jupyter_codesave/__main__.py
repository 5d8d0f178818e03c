"""`python -m jupyter_codesave` is `jupyter codesave`."""

import sys

from .cli import main

sys.exit(main())
