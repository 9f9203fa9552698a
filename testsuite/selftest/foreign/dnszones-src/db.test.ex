; zone of a foreign suite
@      NS     ns.test.ex.
ns     A      127.0.0.1
myhost A      HOSTIPV4
TTL=5 ten-1 A V4NET.0.0.1
six    AAAA   V6NET:1:2:3::4
alias  CNAME  ten-1
