import sys

from certmint.cli import main

sys.exit(main())
