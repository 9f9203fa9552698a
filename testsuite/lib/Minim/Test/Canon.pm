package Minim::Test::Canon;

# Canonicalisation: what differs from run to run, or from MTA to MTA without
# meaning anything, is brought to one form before outputs are compared. One rule
# is one row. State (which message id was seen first, ...) lasts for one test, so
# the outputs of a test must be given in a fixed order.
#
# A row: name, kinds of output it is for ('*' for all), pattern, replacement,
# reason, and its scope if that is not every test: 'foreign' for suites laid out
# as Exim's, 'munge NAME' for scripts with that command. The replacement is a
# string or a function called with the object and the captures. Rules run in
# order, each over the whole text.

use v5.36;
use Minim::Test::Subst;

my $MONTH  = qr/(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/;
my $DAY    = qr/(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/;
my $ID_NEW = qr/[0-9A-Za-z]{6}-[0-9A-Za-z]{11}-[0-9A-Za-z]{4}/;
my $ID_OLD = qr/[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}/;
my $VERSION = qr/\d+\.\d+[-\w.]*(?: #\d+)?/;
my $LOG    = 'log reject panic msglog';

# The reasons that minim gives, in front of the library's own words.
my $TLS_WORDS = join '|', map { "(?:$_)" } (
    'no certificate was sent', 'certificate has expired', 'certificate is not yet valid', 'issuer of the certificate is not trusted',
    'certificate is self-signed', 'certificate has been revoked', 'no current revocation list of the issuer',
    'signature of the certificate is wrong', 'certificate is not for this purpose', 'certificate is too weak', 'certificate is not valid',
    'no common [ \w]+', 'what the peer sent is not TLS', 'the peer sent (?:the )?alert [ \w]+', 'protocol error', 'no TLSA record matches the certificate',
);

my @RULES = (
    # --- the MTA's own name, and lines that only one MTA writes
    ['mta name in Received', '*', qr/(?<=\()(?:Exim|minim) $VERSION/, 'Exim x.yz', 'any MTA and version'],
    ['mta name in logs', $LOG, qr/\b(?:exim|minim) $VERSION/, 'exim x.yz', 'any MTA and version'],
    ['mta name', '*', qr/\b(?:Exim|minim) $VERSION/, 'Exim x.yz', 'any MTA and version'],
    ['mta path', '*', qr{(?:/usr/sbin/exim4|/mnt/mta/\w+)\b}, 'EXIM_PATH', 'any MTA'],
    ['usage name', 'stderr stdout', qr/^(?:exim|exim4|minim)(?=: )/m, 'exim', 'any MTA'],
    ['config with macros', '*', qr{(?<=test-config)\.\d+(?:\.body)?}, '',
        'macros are written into a copy for MTAs that do not accept -D'],
    ['config in its default place', '*', qr{/etc/exim4/exim4\.conf\b}, 'TESTSUITE/test-config', 'any MTA'],
    ['environment warning', $LOG, qr/^.*Warning: purging the environment.*\n.*Suggested action: use keep_environment.*\n/m, '',
        'a warning of exim only'],
    ['environment warning on stderr', 'stderr', qr/^LOG: MAIN\n  Warning: purging the environment.*\n.*\n/m, '',
        'a warning of exim only'],

    ['arguments of the suite', $LOG, qr/(?<= )(\d+)(?= args: )( args: \S+)((?: (?:--caller|-C) \S+)+)/,
        sub ($self, $n, $words, $own) { $n - (() = $own =~ / /g) . $words }, 'where an MTA finds its configuration, and who calls'],

    # --- time
    ['log time', '*', qr/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})?(?: [-+]\d{4})?(?!\d)/,
        '1999-03-02 09:44:33', 'time of the run'],
    ['mail date', '*', qr/\b$DAY, [ \d]?\d $MONTH \d{4} \d\d:\d\d:\d\d(?:\.\d+)? [-+]\d{4}/,
        'Tue, 2 Mar 1999 09:44:33 +0000', 'time of the run'],
    ['mbox date', '*', qr/^(From \S+|<<< From \S+) $DAY $MONTH [ \d]\d \d\d:\d\d:\d\d \d{4}/m,
        sub ($self, $from) { "$from Tue Mar 02 09:44:33 1999" }, 'time of the run'],
    ['date without zone', '*', qr/\b$DAY $MONTH [ \d]\d \d\d:\d\d:\d\d \d{4}/, 'Tue Mar 02 09:44:33 1999', 'time of the run'],
    ['time of a hints database', 'stdout', qr/\b\d\d-$MONTH-\d{4} \d\d:\d\d:\d\d\b/, '02-Mar-1999 09:44:33', 'time of the run'],
    ['key of a session', 'stdout', qr/^[0-9a-f]{64}(?=:? (?:cannot|02-Mar))/m, 'KEY', 'a digest of settings, paths and library'],
    ['durations', $LOG, qr/ (QT|DT|RT|D)=(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?s(?=[\s,;]|$)/,
        sub ($self, $which) { " $which=qqs" }, 'speed of the machine'],
    ['load average', $LOG, qr/(?<=load average )\d+\.\d\d|(?<=load average = )\d+\.\d\d|(?<=\(load )\d+\.\d\d(?=, max)/, 'l.ll', 'load of the machine'],
    ['room on a disk', $LOG, qr/(?<=space check failed: )space=-?\d+ inodes=-?\d+/, 'space=kkk inodes=nnn', 'room on the disk'],
    ['slow lookup', "$LOG stderr", qr/(Long \w+ lookup for '[^']*': )\d+ msec/, sub ($self, $what) { "${what}mmm msec" }, 'speed of the machine'],
    ['age in a queue listing', 'stdout', qr/^( *\d+[smhd])(?= +\S+ $ID_NEW| +\S+ $ID_OLD)/m, ' 0m', 'speed of the machine'],
    ['times that -Mvh shows', 'stdout', qr/^(-received_time_usec |-received_time_complete |-frozen )[\d.]+$/m,
        sub ($self, $what) { "${what}ttt" }, 'time of the run'],
    ['arrival that -Mvh shows', 'stdout', qr/^\d{10}(?= \d+$)/m, 'ttt', 'time of the run'],

    # --- sizes
    ['lengths that -Mvh shows', 'stdout', qr/^\d{3}(?=P Received:|I Message-Id:|  References:)/m, 'nnn',
        'depends on the length of names, versions and ids'],
    ['message size', "$LOG stdout stderr", qr/ S=\d+\b/, ' S=sss', 'depends on the length of names and versions'],
    ['size of a chunk', "$LOG mail", qr/\d+ byte chunk, total \d+/, 'sss byte chunk, total sss', 'depends on the length of names and versions'],
    ['announced size', 'stdout', qr/(?<= )SIZE=\d+\b/, 'SIZE=ssss', 'depends on the length of names and versions'],
    ['size in a queue listing', 'stdout', qr/^( 0m) +[\d.]+[KM]?(?= (?:$ID_NEW|$ID_OLD))/m, sub ($self, $age) { "$age   sss" },
        'depends on the length of names and versions'],

    # --- identifiers
    ['message id', '*', qr/(?<![\w-])(E?)($ID_NEW|$ID_OLD)(?![\w])/,
        sub ($self, $e, $id) { $e . $self->count('id', $id) }, 'ids contain the time'],
    ['process id', $LOG, qr/\b(pid[= ])(\d+)/, sub ($self, $word, $pid) { $word . $self->count('pid', $pid) },
        'processes are numbered by the kernel'],
    ['process id of a delivery', '*', qr/\b(from transport process )(\d+)/,
        sub ($self, $word, $pid) { $word . $self->count('pid', $pid) }, 'processes are numbered by the kernel'],
    ['process id of a queue run', $LOG, qr/\b((?:Start|End)(?: \S+)* queue run: )pid=(\d+)/,
        sub ($self, $word, $pid) { $word . 'pid=' . $self->count('pid', $pid) }, 'processes are numbered by the kernel'],
    ['temporary name', $LOG, qr/\btemp\.\d+\./, 'temp.pppp.', 'contains the process'],
    ['maildir name', '*', qr/\b\d{10}\.[HMVP]\w+\.[\w.]+/, sub ($self) { 'MAILDIRNAME' }, 'contains time and process'],

    ['boundary of a bounce', '*', qr/\b\d+-eximdsn-\d+/, 'NNNNNNNNNN-eximdsn-MMMMMMMMMM', 'made of time and process'],

    # --- network
    ['ephemeral port', '*', qr/(?<=\]):(?:3[2-9]|[45]\d|6[0-5])\d{3}\b/, ':ppppp', 'chosen by the kernel'],
    ['ephemeral port in Received', '*', qr/(?<=\bport=)(?:3[2-9]|[45]\d|6[0-5])\d{3}\b/, 'ppppp', 'chosen by the kernel'],
    ['i=port', $LOG, qr/(I=\[[^\]]+\]):1225\b/, sub ($self, $where) { "$where:PORT_D" }, 'a substitution'],
    (map {
        my $name = $_;
        ["port $name", '*', qr/(?<![\w.])$Minim::Test::Subst::FIXED{$name}(?![\w-]|\.\w)/, $name, 'a substitution']
    } qw(PORT_N PORT_S PORT_D PORT_D2 PORT_D3 PORT_D4 PORT_DYNAMIC)),
    ['address HOSTIPV4 as Exim has it', '*', qr/(?<![\w.])\Q$Minim::Test::Subst::FIXED{HOSTIPV4}\E(?!\w|\.\w)/,
        'ip4.ip4.ip4.ip4', 'a substitution', 'foreign'],
    ['address HOSTIPV6 as Exim has it', '*', qr/(?<![\w.])\Q$Minim::Test::Subst::FIXED{HOSTIPV6}\E(?!\w|\.\w)/,
        'ip6:ip6:ip6:ip6:ip6:ip6:ip6:ip6', 'a substitution', 'foreign'],
    (map {
        my $name = $_;
        ["address $name", '*', qr/(?<![\w.])\Q$Minim::Test::Subst::FIXED{$name}\E(?!\w|\.\w)/, $name, 'a substitution']
    } qw(HOSTIPV4 HOSTIPV6)),

    # --- TLS: which cipher two libraries agree upon is their own affair
    ['cipher in a log line', $LOG, qr/ X=(TLS1\.\d):[-\w(]+:\d+/, sub ($self, $version) { " X=$version:CIPHER:bits" }, 'libraries name and prefer ciphers in their own ways'],
    ['cipher in Received', 'mail stdout', qr/\((TLS1\.\d)\)(\s+)tls [-\w]+/, sub ($self, $version, $space) { "($version)${space}tls CIPHER" },
        'libraries prefer ciphers in their own ways'],

    ['step of a handshake', $LOG, qr/\((?:SSL_accept|SSL_connect|gnutls_handshake)\)/, '(handshake)', 'named after functions of the libraries'],
    ["a library's own words", $LOG, qr/(\((?:handshake|certificate verification failed|[^()]*setup[^()]*|setting[^()]*)\): (?:$TLS_WORDS)): .+?(?=: (?:delivering|callout) unencrypted|$)/m,
        sub ($self, $ours) { $ours }, 'what follows the reason is what the library says of it'],
    ['words about a certificate or key after ours', $LOG, qr/(\((?:cert\/key setup: cert=[^)]*)\): (?:no certificate in the file|no private key in the file|the key is not the certificate's, or damaged)): [^\n]+/,
        sub ($self, $ours) { $ours }, 'what follows the reason is what the library says of it'],
    ['words about a certificate or key', $LOG, qr/(\((?:cert\/key setup: cert=[^)]*|setting [-\w ]+)\)): (?!No such file|Permission|out of |no certificate in|no private key in|the key is not)[^\n]+/,
        sub ($self, $ours) { "$ours: WORDS" }, 'a library says it'],
    ['names with slashes', "$LOG mail stdout", qr{(?<![\w/])/O=([^/"\n]+)/CN=([^/"\n]+?)(?="|$| \w+=)}m,
        sub ($self, $o, $cn) { "O=$o,CN=$cn" }, 'the form of a DN depends on the library, in Exim too'],

    # --- users and places
    ['work folder', '*', qr{/mnt/t(?=/|\b)}, 'TESTSUITE', 'a substitution'],
    ['caller', '*', qr/\bcaller\b/, 'CALLER', 'a substitution'],
    ['mta user', '*', qr/\b(?:Debian-exim|eximuser)\b/, 'EXIMUSER', 'any MTA'],
    ['uid and gid', '*', qr/\b([ug]id=)(?:10001|1000[2-4])\b/, sub ($self, $what) { $what . 'CALLER_' . uc substr($what, 0, 3) },
        'a substitution'],

    # --- what a script asks for with munge
    ['loopback address', '*', qr/\[::1\]/, '[127.0.0.1]', 'either protocol will do', 'munge loopback'],
    ['folder of commands', '*', qr{(?<![\w/])/usr/bin/}, '/bin/', 'one may be a link to the other', 'munge sys_bindir'],
    ['long runs', "$LOG stderr", qr/((\S)\2{29,})/, sub ($self, $what, @) { substr($what, 0, 1) . '{' . length($what) . '}' },
        'hundreds of the same character are not for reading', 'munge runs'],
    ['system error number', "$LOG stderr", qr/\berrno=-?\d+/, 'errno=nnn', 'numbers depend on the system', 'munge errno'],

    ['options that Exim has for -bh to show', 'stderr', qr/^>>> host in (?:hosts_proxy|pipelining_connect_advertise_hosts|smtputf8_advertise_hosts)\? .*\n/m, '',
        'parts of Exim that minim does not have', 'munge trace'],
    ['lists of DNSSEC for a HELO name', 'stderr', qr/(getting IP address for .*\n)>>> \S+ in ""\? .*\n>>> \S+ in "\*"\? .*\n/,
        sub ($self, $kept) { $kept }, 'Exim has them built in', 'munge trace'],
    ['cache of DNS lists', 'stderr', qr/^>>> (?:new DNS lookup for|dnslists: (?:wrote cache entry|using result of previous lookup)|\S+ in dns_again_means_nonexist\?).*\n/m, '',
        'the resolver has the cache', 'munge trace'],
    ['first lines of -d', 'stderr', qr/^(?:exim|minim|Exim) (?:version )?\S+ uid=.*?^originator: [^\n]*\n/ms, "(version, users)\n",
        'each program its own', 'munge debug'],
    ['first lines of -d before the caller', 'stderr', qr/^(?:exim|minim|Exim) (?:version )?\S+ uid=.*?^admin user\n/ms, "(version, users)\n",
        'each program its own', 'munge debug'],
    ['what Exim tells of itself', 'stderr', qr/^(?:dropping to exim gid|changing group to|seeking password data|getpwnam\(\)|sender address =|(?:Address testing|Verifying): uid|set transport|data from lookup saved|search_tidyup|>{16} .* terminating|  uid=\S+ gid=\S+ home=).*\n/m, '',
        'internals', 'munge debug'],

    # --- swaks
    ['swaks id', '*', qr/\b\d{14}\.\d{6}\@/, 'SWAKSID@', 'contains time and process'],
    ['swaks version', '*', qr/\bswaks v[\w.]+ \S+/, 'swaks vX', 'installed version'],
);

sub new ($class, %option) {
    return bless { seen => {}, next => { id => 'aX', pid => 1234 }, %option }, $class;
}

# The canonical name of a value: equal values get equal names, in the order in
# which they turn up.
sub count ($self, $kind, $value) {
    return $self->{seen}{$kind}{$value} //= do {
        my $number = $self->{next}{$kind}++;
        $kind eq 'id' ? "10Hm$number-000000005vi-0000" : "p$number";
    };
}

# Text of one kind (log, reject, panic, mail, msglog, stdout, stderr).
sub text ($self, $kind, $text) {
    for my $rule (@RULES) {
        my (undef, $for, $pattern, $with, undef, $scope) = @$rule;
        next if $scope && !$self->_in_scope($scope);
        next unless $for eq '*' || " $for " =~ / $kind /;
        if (ref $with) {
            $text =~ s{$pattern}{
                my @captures = map { defined $-[$_] ? substr($text, $-[$_], $+[$_] - $-[$_]) : '' } 1 .. $#+;
                $with->($self, @captures)
            }ge;
        }
        else { $text =~ s/$pattern/$with/g }
    }
    return $text;
}

sub _in_scope ($self, $scope) {
    return $scope =~ /^munge (.*)/ ? $self->{munge}{$1} : $self->{$scope};
}

sub rules () { return @RULES }

# Whether the command munge knows this name.
sub knows_munge ($name) { return grep { ($_->[5] // '') eq "munge $name" } @RULES }

1;
