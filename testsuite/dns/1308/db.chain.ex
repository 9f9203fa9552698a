; Chains of aliases, a late answer.
@        SOA   ns.chain.ex. hostmaster.chain.ex. 1 3600 600 86400 3600
         NS    ns.chain.ex.
         MX    10 real.chain.ex.
ns       A     127.0.0.1
real     A     192.0.2.30
c1       CNAME real.chain.ex.
c2       CNAME c1.chain.ex.
c3       CNAME c2.chain.ex.
c4       CNAME c3.chain.ex.
x1       CNAME r1.hosts.ex.
x2       CNAME x1.chain.ex.
out2     CNAME alias.hosts.ex.
m1       CNAME mail.chain.ex.
m2       CNAME m1.chain.ex.
m3       CNAME m2.chain.ex.
mail     MX    10 real.chain.ex.
dead     CNAME nothing.chain.ex.
DELAY=2500 late  A  192.0.2.33
