; For the options of dnslookup.
@             SOA   ns.test.ex. hostmaster.test.ex. 1 3600 600 86400 3600
              NS    ns.test.ex.
a             A     192.0.2.10
b             A     192.0.2.20
both          A     192.0.2.30
              AAAA  2001:db8::30
both2         A     192.0.2.40
              AAAA  2001:db8::40
mixed         MX    5 both
              MX    10 both2
              MX    10 both
equal         MX    5 both
softa         MX    5 a.test.again.dns.
