; The zone that most tests use.
@             SOA   ns.test.ex. hostmaster.test.ex. 1 3600 600 86400 3600
              NS    ns.test.ex.
              MX    10 myhost.test.ex.
ns            A     127.0.0.1

; The host under test, and one whose only address is the loopback.
myhost        A     HOSTIPV4
server        A     127.0.0.1
server6       AAAA  ::1
both          A     127.0.0.1
              AAAA  ::1
nobody        A     V4NET.0.0.1

; Mail exchangers.
mx            MX    5 nobody.test.ex.
              MX    10 server.test.ex.
              MX    20 other.test.ex.
other         A     127.0.0.2
nullmx        MX    0 .
plain-host    A     127.0.0.1
dangling      MX    10 no-such-host.test.ex.
alias         CNAME server.test.ex.
aliasmx       CNAME mx.test.ex.
*.wild        MX    10 server.test.ex.

; Text.
txt           TXT   "one string"
              TXT   "two " "strings"
_submission._tcp  SRV  0 0 587 server.test.ex.

; Answers with a mark: signed, authoritative, late. One blank follows a mark;
; with more the owner is the one of the line before.
DNSSEC secure  A   127.0.0.1
AA auth       A   127.0.0.1
DELAY=300 slow  A   127.0.0.1
localhost     A     127.0.0.1
