; Mail exchangers for dnslookup.
@             SOA   ns.test.ex. hostmaster.test.ex. 1 3600 600 86400 3600
              NS    ns.test.ex.
secondary     MX    5 a
              MX    10 myhost.test.ex.
              MX    20 b
a             A     192.0.2.10
b             A     192.0.2.20
two           MX    10 a
              MX    20 b
_smtp._tcp.srv  SRV  10 5 2525 a
              SRV   20 5 26 b
_smtp._tcp.srvnone SRV 0 0 0 .
v4            A     192.0.2.30
              AAAA  2001:db8::30
same          MX    5 a
              MX    20 a
cname         CNAME two
toself        CNAME toself
*.star        MX    10 b
