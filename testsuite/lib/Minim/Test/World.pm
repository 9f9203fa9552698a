package Minim::Test::World;

# What a test sees of the machine: built from inside its fresh namespaces, before
# its script runs. A private /etc, /tmp and work folder, the loopback interface
# with a few more addresses, users, host name, name server.
#
# Places (the same in every test, so that nothing depends on the length of a
# path): /mnt/t the work folder, /mnt/suite the suite, /mnt/lib these modules,
# /mnt/mta the binary under test.

use v5.36;
use File::Path qw(make_path);
use Minim::Test::File qw(slurp spew);
use Minim::Test::Process qw(spawn);
use Minim::Test::Subst qw(values_for substitute);
use Minim::Test::Dns::Server;
use Minim::Test::Dns::Zone;

use constant {
    DIR   => '/mnt/t',
    SUITE => '/mnt/suite',
    LIB   => '/mnt/lib',
    MTA   => '/mnt/mta',
};

# login => [uid, gecos]; each has a group of its own name. The caller is the one
# who runs the commands of a script.
my %USERS = (
    caller   => [10001, 'CALLER_NAME'],
    userx    => [10002, 'User X'],
    usery    => [10003, 'User Y'],
    userz    => [10004, 'User Z'],
    eximuser => [10010, 'Mail transfer agent'],
);

# Builds all of it. $spec is what the runner wrote down for this test.
sub build ($class, $spec) {
    my $self = bless { spec => $spec, single => $> != 0 }, $class;
    $self->_name_users;
    $self->_mount;
    $self->_etc;
    $self->_network;
    $self->_work_folder;
    $self->_start_dns;
    unshift @INC, LIB;
    chdir DIR or die "cannot enter the work folder: $!\n";
    return $self;
}

sub dir     ($self) { return DIR }
sub values  ($self) { return $self->{values} }
sub dns_pid ($self) { return $self->{dns_pid} }
sub single  ($self) { return $self->{single} }

# {uid, gid, groups, name, home} of a login; where there is one user only,
# everybody is that one.
sub user ($self, $name) {
    my ($login, undef, $uid, $gid, undef, undef, undef, $home) = getpwnam($self->{single} ? 'caller' : $name);
    die "no user $name\n" unless defined $login;
    my @groups;
    setgrent;
    while (my ($group, undef, $number, $members) = getgrent) {
        push @groups, $number if grep { $_ eq $login } split ' ', $members;
    }
    endgrent;
    return { name => $login, uid => $uid, gid => $gid, groups => \@groups, home => $home };
}

sub _name_users ($self) {
    my $profile = $self->{spec}{mta}{profile};
    my ($user, $group) = $self->{single} ? ('caller', 'caller') : @$profile{qw(user group)};
    $self->{values} = values_for({
        dir          => DIR,
        exim_path    => $self->{spec}{mta}{inside},
        user         => $user,
        group        => $group,
        caller       => 'caller',
        caller_group => 'caller',
        caller_uid   => $USERS{caller}[0],
        caller_gid   => $USERS{caller}[0],
        num          => $self->{spec}{num},
        tls          => $self->{spec}{tls},
    });
    return;
}

sub _run (@argv) {
    system { $argv[0] } @argv;
    die "setting up the test: '@argv' failed\n" if $?;
    return;
}

sub _mount ($self) {
    my $spec = $self->{spec};
    my @steps = ('set -e', 'mount -t tmpfs -o mode=755,size=64m minim-test /mnt', 'mkdir /mnt/t /mnt/suite /mnt/lib /mnt/etc');
    my $bind = sub ($from, $to, $how = '--bind') { push @steps, "mount $how '$from' '$to'" };
    $bind->($spec->{work},  DIR);
    $bind->($spec->{suite}, SUITE, '--rbind');
    $bind->($spec->{lib},   LIB);
    $bind->('/etc', '/mnt/etc', '--rbind');
    my %files = %{ $spec->{mta}{binds} };
    $files{ $spec->{mta}{path} } = $spec->{mta}{inside} if $spec->{mta}{inside} ne $spec->{mta}{path};
    for my $from (sort keys %files) {
        push @steps, 'mkdir -p ' . MTA, "touch '$files{$from}'";
        $bind->($from, $files{$from});
    }
    push @steps, 'mount -t tmpfs -o mode=755 minim-test /etc', 'mount -t tmpfs -o mode=1777 minim-test /tmp';
    _run('/bin/sh', '-c', join "\n", @steps);
    return;
}

# A private /etc: own files first, links to the machine's for the rest.
sub _etc ($self) {
    my %own = (
        'passwd'        => $self->_passwd,
        'group'         => $self->_group,
        'hosts'         => $self->_hosts,
        'hostname'      => $self->{values}{HOSTNAME} . "\n",
        'mailname'      => $self->{values}{HOSTNAME} . "\n",
        'host.conf'     => "multi on\n",
        'nsswitch.conf' => join('', map { "$_: files\n" } qw(passwd group shadow services protocols)) . "hosts: files dns\n",
        'resolv.conf'   => "nameserver 127.0.0.1\noptions timeout:2 attempts:1 trust-ad\n",
        'localtime'     => undef,
        'timezone'      => undef,
        'exim4'         => undef,
        'aliases'       => undef,
    );
    spew("/etc/$_", $own{$_}) for grep { defined $own{$_} } keys %own;
    opendir my $handle, '/mnt/etc' or die "cannot read /etc: $!\n";
    for my $name (readdir $handle) {
        symlink "/mnt/etc/$name", "/etc/$name" unless exists $own{$name} || $name =~ /^\.\.?$/;
    }
    mkdir '/etc/exim4', 0755;
    return;
}

sub _passwd ($self) {
    my $text = '';
    for my $line (split /\n/, slurp('/mnt/etc/passwd')) {
        my ($name, undef, $uid) = split /:/, $line;
        $text .= "$line\n" if !$USERS{$name} && ($uid < 1000 || $uid == 65534);
    }
    for my $name (sort { $USERS{$a}[0] <=> $USERS{$b}[0] } keys %USERS) {
        my ($id, $gecos) = @{ $USERS{$name} };
        $text .= join(':', $name, 'x', $id, $id, $gecos, DIR . "/home/$name", '/bin/sh') . "\n";
    }
    return $text;
}

# The caller belongs to the MTA's group: this makes it an administrator.
sub _group ($self) {
    my $mta_group = $self->{spec}{mta}{profile}{group};
    my $text      = '';
    for my $line (split /\n/, slurp('/mnt/etc/group')) {
        my ($name, undef, $gid) = split /:/, $line;
        next if $USERS{$name} || $gid >= 1000 && $gid != 65534;
        $text .= $name eq $mta_group ? "$name:x:$gid:caller\n" : "$line\n";
    }
    $text .= "$_:x:$USERS{$_}[0]:" . ($_ eq $mta_group ? 'caller' : '') . "\n" for sort keys %USERS;
    return $text;
}

sub _hosts ($self) {
    my $values = $self->{values};
    return "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
        . "$values->{HOSTIPV4} $values->{HOSTNAME}\n$values->{HOSTIPV6} $values->{HOSTNAME}\n";
}

sub _network ($self) {
    my $values = $self->{values};
    _run('hostname', $values->{HOSTNAME});
    for my $setting ('ip_unprivileged_port_start', 'ping_group_range') {
        open my $file, '>', "/proc/sys/net/ipv4/$setting" or next;
        print {$file} $setting eq 'ping_group_range' ? "0 0" : "0";
        close $file;
    }
    open my $ip, '|-', 'ip', '-batch', '-' or die "cannot run ip: $!\n";
    print {$ip} "link set lo up\naddr add $values->{HOSTIPV4}/32 dev lo\naddr add $values->{HOSTIPV6}/128 dev lo nodad\n";
    close $ip or die "setting up the loopback interface failed\n";
    return;
}

# Lays out the work folder: configurations and fragments with their
# substitutions made, the folders every test has.
sub _work_folder ($self) {
    my ($spec, $values) = @$self{qw(spec values)};
    my $caller = $self->user('caller');
    my @theirs = ($self->{single} ? () : ($caller->{uid}, $caller->{gid}));
    my $give = sub ($path) { chown @theirs, $path if @theirs };
    chmod 0755, DIR;
    $give->(DIR);
    for my $folder ('test-mail', 'home', map { "home/$_" } keys %USERS) {
        mkdir DIR . "/$folder", $folder eq 'test-mail' ? 0777 : 0755;
        chmod 0777, DIR . "/$folder" if $folder eq 'test-mail';
        my $owner = $folder =~ m{^home/(\w+)} ? $USERS{$1}[0] : $caller->{uid};
        chown $owner, $owner, DIR . "/$folder" unless $self->{single};
    }
    mkdir DIR . '/reports';
    chmod 01777, DIR . '/reports';
    mkdir DIR . '/spool', 0755;
    my ($uid, $gid) = (getpwnam $values->{EXIMUSER})[2, 3];
    chown $uid, $gid, DIR . '/spool' unless $self->{single};
    symlink SUITE . "/$spec->{folders}{fixed}", DIR . '/aux-fixed';
    $self->_copy_fragments;
    return;
}

sub _copy_fragments ($self) {
    my ($spec, $values) = @$self{qw(spec values)};
    my $to   = DIR . ($spec->{foreign} ? '/aux-var' : '/confs');
    my $from = SUITE . "/$spec->{folders}{var}";
    mkdir $to, 0755;
    for my $file (grep { -f && !m{/\d{4}(?:-\w+)?$} } glob "$from/*") {
        my $copy = "$to/" . $file =~ s{.*/}{}r;
        spew($copy, substitute(slurp($file), $values));
        chmod 0644, $copy;
    }
    my ($conf) = grep { -e } map { SUITE . "/$spec->{folders}{confs}/$_" } $spec->{num}, $spec->{group};
    return unless $conf;
    spew(DIR . '/test-config', substitute(slurp($conf), $values));
    chmod 0644, DIR . '/test-config';
    return;
}

sub _start_dns ($self) {
    my $spec = $self->{spec};
    my $base = SUITE . "/$spec->{folders}{dns}";
    my $zones = Minim::Test::Dns::Zone::load_all($self->{values}, $base, "$base/$spec->{num}");
    my $server = Minim::Test::Dns::Server::listen_on($zones, '127.0.0.1', '::1');
    open my $null, '<', '/dev/null' or die "/dev/null: $!\n";
    $self->{dns_pid} = spawn({ stdin => $null, code => sub { $server->serve } });
    return;
}

1;
