; Hosts and mail domains for tests of routing by DNS.
@             SOA   ns.hosts.ex. hostmaster.hosts.ex. 1 3600 600 86400 3600
              NS    ns.hosts.ex.
              MX    10 r1.hosts.ex.
ns            A     127.0.0.1
r1            A     192.0.2.1
r2            A     192.0.2.2
r3            A     192.0.2.3
r6            AAAA  2001:db8::6
both          A     192.0.2.4
              AAAA  2001:db8::4
self          A     HOSTIPV4
loop          A     127.0.0.9
alias         CNAME r1.hosts.ex.
cloop         CNAME cloop2.hosts.ex.
cloop2        CNAME cloop.hosts.ex.

; Mail domains.
mx1           MX    10 r1.hosts.ex.
mxboth        MX    10 both.hosts.ex.
              MX    20 r6.hosts.ex.
mxself2       MX    5 r1.hosts.ex.
              MX    10 r2.hosts.ex.
              MX    10 self.hosts.ex.
              MX    20 r3.hosts.ex.
mxself1       MX    5 self.hosts.ex.
              MX    10 r2.hosts.ex.
mxloop        MX    5 loop.hosts.ex.
nullmx        MX    0 .
dotmx         MX    0 .
              MX    10 r1.hosts.ex.
dangling      MX    10 no-such-host.hosts.ex.
mxip          MX    10 192.0.2.77.
mxagain       MX    10 x.test.again.dns.
mxagain2      MX    10 x.test.again.dns.
              MX    20 r1.hosts.ex.
mxdup         MX    10 r1.hosts.ex.
              MX    20 r1.hosts.ex.
              MX    30 r2.hosts.ex.
mxignored     MX    10 r3.hosts.ex.
mxcname       MX    10 alias.hosts.ex.
aliasmx       CNAME mx1.hosts.ex.
*.wild        MX    10 r1.hosts.ex.
_smtp._tcp.srv    SRV  10 0 587 r1.hosts.ex.
                  SRV  20 5 588 r2.hosts.ex.
_smtp._tcp.nosrv  SRV  0 0 0 .

; Signed answers.
DNSSEC secure     A   192.0.2.8
DNSSEC secmx      MX  10 secure.hosts.ex.
DNSSEC sechalf    MX  10 r1.hosts.ex.
plainmx           MX  10 secure.hosts.ex.

; Text and the like.
txt           TXT   "one string"
              TXT   "two " "strings"
spf           TXT   "v=spf1 " "a -all"
sub           SOA   ns.sub.hosts.ex. hm.sub.hosts.ex. 2 3 4 5 6
_25._tcp.r1   TLSA  3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
DELAY=300 slow  A   192.0.2.200
