; The hosts that certificates of aux-fixed/pki name.
@             SOA   ns.example.com. hostmaster.example.com. 1 3600 600 86400 3600
              NS    ns.example.com.
              A     127.0.0.1
ns            A     127.0.0.1
server1       A     127.0.0.1
server2       A     127.0.0.1
other         A     127.0.0.1
client1       A     127.0.0.1
ocsp          A     127.0.0.1
crl           A     127.0.0.1
alternatename.server1  A  127.0.0.1
six           AAAA  ::1
