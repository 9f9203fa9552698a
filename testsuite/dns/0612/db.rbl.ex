; A list of addresses and of domains. The owner's first labels are the address.
@               SOA   ns.test.ex. hostmaster.test.ex. 1 3600 600 86400 3600
                NS    ns.test.ex.
1.2.0.192       A     127.0.0.2
                TXT   "listed: see http://rbl.ex/1"
2.2.0.192       A     127.0.0.4
                A     127.0.0.10
3.2.0.192       A     192.0.2.99
bad.ex          A     127.0.0.2
                TXT   "bad domain"
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 A 127.0.0.2
1.2.0.192.more   A   127.0.0.9
