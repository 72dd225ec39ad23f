"""The command, whose requests to an object store last for an hour, not a minute.

A command that ends before them was ended by its signal, however busy the machine is.
"""

from bikecollect import __main__ as program
from bikecollect.archive.mirror.store import object_store

if __name__ == "__main__":
    object_store.REQUEST = "3600s"
    program.main()
