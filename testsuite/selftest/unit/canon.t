# The canonicaliser: each row is a kind of output, a text, its canonical form.
use v5.36;
use Test::More;
use Minim::Test::Canon;

my @CASES = (
    ['log', '2026-11-21 02:03:42 x', '1999-03-02 09:44:33 x'],
    ['log', '2026-11-21 02:03:42.123 +0100 x', '1999-03-02 09:44:33 x'],
    ['log', '[4711] x', '[4711] x'],
    ['log', 'exim 4.96 daemon started: pid=4711, no queue runs', 'exim x.yz daemon started: pid=p1234, no queue runs'],
    ['log', 'minim 0.1 daemon started: pid=4711, no queue runs', 'exim x.yz daemon started: pid=p1234, no queue runs'],
    ['mail', 'with local (Exim 4.96)', 'with local (Exim x.yz)'],
    ['mail', 'with local (minim 0.1-dev)', 'with local (Exim x.yz)'],
    ['reject', 'with local (Exim 4.96)', 'with local (Exim x.yz)'],
    ['stdout', '220 h ESMTP Exim 4.96 Sat, 21 Nov 2026 02:03:42 +0000', '220 h ESMTP Exim x.yz Tue, 2 Mar 1999 09:44:33 +0000'],
    ['stdout', '220 h ESMTP minim 0.1 Sat, 1 Nov 2026 02:03:42 +0000', '220 h ESMTP Exim x.yz Tue, 2 Mar 1999 09:44:33 +0000'],
    ['mail', 'From a@b Sat Nov 21 02:03:42 2026', 'From a@b Tue Mar 02 09:44:33 1999'],
    ['log', '1xUaS6-00000G-1k <= a', '10HmaX-000000005vi-0000 <= a'],
    ['log', '1xUaS6-000000000Gx-1k9z <= a', '10HmaX-000000005vi-0000 <= a'],
    ['mail', '<E1xUaS6-00000G-1k@h>', '<E10HmaX-000000005vi-0000@h>'],
    ['log', '1xUaS6-00000G-1k 1xUaS7-00000G-1k 1xUaS6-00000G-1k',
        '10HmaX-000000005vi-0000 10HmaY-000000005vi-0000 10HmaX-000000005vi-0000'],
    ['mail', 'a file 1xUaS6-00000G-1k-D', 'a file 10HmaX-000000005vi-0000-D'],
    ['log', ' S=1225 QT=1m2.345s DT=0s D=3s', ' S=sss QT=qqs DT=qqs D=qqs'],
    ['log', 'H=[127.0.0.1]:45678 I=[127.0.0.1]:1225', 'H=[127.0.0.1]:ppppp I=[127.0.0.1]:PORT_D'],
    ['log', 'port 1225 (IPv6 and IPv4)', 'port PORT_D (IPv6 and IPv4)'],
    ['stdout', 'Trying 127.0.0.1:1224...', 'Trying 127.0.0.1:PORT_S...'],
    ['log', 'H=h [198.18.0.1] [2001:db8:5::1]', 'H=h [HOSTIPV4] [HOSTIPV6]'],
    ['stdout', 'to 198.18.0.1.', 'to HOSTIPV4.'],
    ['log', '198.18.0.10 and 1.198.18.0.1', '198.18.0.10 and 1.198.18.0.1'],
    ['mail', 'caller@test.ex callers', 'CALLER@test.ex callers'],
    ['log', 'U=Debian-exim U=eximuser', 'U=EXIMUSER U=EXIMUSER'],
    ['stderr', '/mnt/t/spool and /mnt/tx', 'TESTSUITE/spool and /mnt/tx'],
    ['stderr', 'in line 3 of /etc/exim4/exim4.conf', 'in line 3 of TESTSUITE/test-config'],
    ['stderr', 'in line 3 of /mnt/t/test-config.1.body', 'in line 3 of TESTSUITE/test-config'],
    ['mail', '--1795227776-eximdsn-1592347809--', '--NNNNNNNNNN-eximdsn-MMMMMMMMMM--'],
    ['stdout', 'MAIL FROM:<a> SIZE=1353', 'MAIL FROM:<a> SIZE=ssss'],
    ['stdout', ' 2m  402 1xUaS6-00000G-1k <a@b>', ' 0m   sss 10HmaX-000000005vi-0000 <a@b>'],
    ['stdout', '25h  1.2K 1xUaS6-00000G-1k <a@b>', ' 0m   sss 10HmaX-000000005vi-0000 <a@b>'],
);

for my $case (@CASES) {
    my ($kind, $text, $wanted) = @$case;
    is(Minim::Test::Canon->new->text($kind, $text), $wanted, "$kind: $text");
    is(Minim::Test::Canon->new->text($kind, $wanted), $wanted, '... which is its own canonical form');
}

my $canon = Minim::Test::Canon->new;
$canon->text('log', '1xUaS6-00000G-1k pid=7');
is($canon->text('mail', '1xUaS9-00000G-1k 1xUaS6-00000G-1k'), '10HmaY-000000005vi-0000 10HmaX-000000005vi-0000',
    'ids keep their names from one output to the next');
is($canon->text('log', 'pid=8 pid=7'), 'pid=p1235 pid=p1234', 'so do process numbers');
$canon->count(id => "x$_") for 1 .. 10;
is($canon->count(id => 'new'), '10HmbJ-000000005vi-0000', 'ids are counted past Z');

is(Minim::Test::Canon->new(foreign => 1)->text('log', '[198.18.0.1]'), '[ip4.ip4.ip4.ip4]', 'a rule for foreign suites');

is(Minim::Test::Canon->new->text('log', 'H=[::1]'), 'H=[::1]', 'a munge is for those who ask');
is(Minim::Test::Canon->new(munge => { loopback => 1 })->text('log', 'H=[::1]'), 'H=[127.0.0.1]', '... and does it for them');
ok(Minim::Test::Canon::knows_munge('loopback') && !Minim::Test::Canon::knows_munge('nothing'), 'names of munges');

for my $rule (Minim::Test::Canon::rules()) {
    ok(@$rule >= 5 && $rule->[4] =~ /\w/, "rule '$rule->[0]' has a reason");
}
done_testing();
