"""The faults that the program is built against, in words, by number."""

UNTESTED = {
    2: "needs a network whose packets vanish; the deadline that ends such an attempt "
    "is tested with a silent server (8) and a silent resolver (3)",
    113: "`make release` installs by hashes and runs pip-audit, see SECURITY.md",
}
"""Why a fault has no test of its own."""

CATALOGUE = """\
# Network

1 the connection is refused, or reset while it is made
2 packets to the server vanish, at one or several of its addresses
3 the name server does not answer
4 the host's name is unknown, or cannot be resolved at the moment
5 the body arrives byte by byte
6 the status line or the headers arrive byte by byte
7 interim responses (100 Continue) without end, or far too many headers
8 the server accepts the connection and sends nothing
9 the body is shorter than its Content-Length
10 a chunked body ends early
11 a body without a length ends early
12 a gzip body ends early
13 a gzip body is damaged, is not gzip at all, or is followed by other bytes
14 an encoding that was not requested (br, zstd, gzip twice)
15 a small gzip body that inflates to a gigabyte
16 a body without end
17 the connection is reset in the middle of the body
18 a server error that may pass (408, 425, 500, 502, 503, 504)
19 a rate limit (429) that ends soon
20 a rate limit (429) that lasts longer than the run
21 an outage (503) for which an hour's pause is requested
22 a Retry-After that is invalid, negative or in the past
23 access is denied (401, 403)
24 the address does not exist (any more) (404, 410)
25 a redirect: to another host, to http, to a file, or in a circle
26 a TLS certificate that is expired, not trusted, or of another name
27 the user's .netrc has an entry for the host
28 proxies or certificates are set in the environment

# Payload

29 an HTML error page instead of JSON, with status 200
30 an empty body, null, {} or JSON of another shape
31 a list without stations
32 far fewer stations than usual
33 the feed stands still: its time stamp is old, or does not change
34 a station appears twice
35 one station is malformed, or many are
36 a field that is new
37 numbers that JSON does not have: NaN, Infinity, 1e400
38 an integer of thousands of digits
39 brackets nested 100,000 deep
40 half a surrogate pair in a text
41 an object has a name twice
42 UTF-8 that is labelled otherwise, or another character set
43 bytes that are not UTF-8
44 a byte order mark before the JSON
45 a newline, quote, comma or NUL in a name
46 a name that a spreadsheet takes for a formula
47 ids with letters or leading zeros, such as 00A1

# Disk

48 the disk is full when the payload is stored
49 the disk is full in the middle of a CSV block
50 the disk is full at the ledger's commit
51 the disk will soon be full
52 a quota, or a limit of the size of files
53 an input/output error when the payload is stored
54 an input/output error when the CSV is synced
55 an input/output error at the ledger's commit: is it done or not?
56 a folder or disk that may not be written to
57 the data disk is not mounted
58 no inodes, or no file descriptors are left
59 a disk that takes a minute to sync
60 a network file system, where a ledger is not safe
61 power fails, at any step
62 zeros or garbage at the end of a file after a power failure
63 collected rows are damaged, or a CSV is shorter than the ledger says
64 the ledger is deleted, emptied, damaged, or an older copy
65 a stored payload is damaged before it is committed
66 compaction is killed while it writes a Parquet file
67 a reader meets a half-written row

# Process

68 the run is killed, at any system call
69 the run is ended by a signal (SIGTERM, SIGHUP, SIGINT)
70 the output cannot be written: closed pipe, full disk
71 the run is started without standard input, output and error
72 the run is killed again while it recovers from the first time
73 a bug of the program
74 the memory runs out
75 a module is missing, as in the middle of an upgrade

# Clock

76 the clock is set back
77 the clock is wrong, or set forward
78 summer time begins or ends
79 a run starts just before its slot
80 midnight passes during a run
81 a run starts late: busy cron, suspended machine

# Concurrency

82 the run before is still at work
83 the process that holds the lock is stopped or hangs
84 two runs in one slot
85 the lock file is deleted while it is held
86 somebody reads the ledger
87 somebody locks the ledger for writing
88 somebody reads the CSV while a block is appended
89 a slot of a day arrives after the day was compacted

# Settings and operation

90 settings that are wrong: unknown key, bad address, bad value
91 a file with secrets that others may read
92 cron's empty environment: no PATH, HOME, LANG
93 a crontab line with %, a relative path, or the wrong user
94 the job is disabled, or the machine is off
95 a CSV is edited, as by saving it in a spreadsheet
96 foreign lines at the end of a CSV
97 the columns of the CSV or the tables of the ledger change
98 a ledger of a newer version

# Alerts

99 the mail server is down, or refuses for now
100 the mail server hangs, or answers byte by byte
101 the mail server has no TLS any more, or another's certificate
102 one of several recipients is refused
103 newlines, headers or odd characters in the text of an error
104 an outage of a day, or a feed that comes and goes
105 a crash after a mail is sent, before it is removed from the outbox
106 a bug in sending alerts
107 the ping's server is down or slow

# Security

108 a secret in a log, mail, ledger or message
109 a redirect that would take credentials to another host
110 names in a payload that would lead to other files
111 a symbolic link planted in the data folder
112 the program runs as root by accident
113 a dependency with a vulnerability, or replaced by another's
114 a name of a file or folder that reads as SQL or as a pattern
"""
"""A heading per group, and a line per fault: its number and what happens."""
