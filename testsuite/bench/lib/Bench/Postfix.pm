package Bench::Postfix;

# Postfix, from wherever its package lies (installed, or unpacked in a folder),
# with its own defaults but for what the test needs.

use strict;
use warnings;
use parent -norequire, 'Bench::Mta';
use Bench::Mta;
use Bench::Private;
use File::Copy qw(copy);

my @SERVICES = (
    'pickup unix n - n 60 1 pickup',
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'rewrite unix - - n - - trivial-rewrite',
    'bounce unix - - n - 0 bounce',
    'defer unix - - n - 0 bounce',
    'trace unix - - n - 0 bounce',
    'verify unix - - n - 1 verify',
    'flush unix n - n 1000? 0 flush',
    'proxymap unix - - n - - proxymap',
    'smtp unix - - n - - smtp',
    'relay unix - - n - - smtp',
    'showq unix n - n - - showq',
    'error unix - - n - - error',
    'retry unix - - n - - error',
    'local unix - n n - - local',
    'anvil unix - - n - 1 anvil',
    'scache unix - - n - 1 scache',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
);

sub configuration {
    my ($self) = @_;
    my $usr = "$self->{package}/usr";
    my $tls = $self->{tls};
    my $more = $tls ? "smtpd_tls_security_level=may\nsmtpd_tls_cert_file=$tls->{cert}\nsmtpd_tls_key_file=$tls->{key}\n" : '';
    $more .= "tls_ssl_options=NO_TICKET\n" if $tls && exists $tls->{tickets} && !$tls->{tickets};
    return <<"END";
compatibility_level=3.6
queue_directory=$self->{root}/spool
command_directory=$usr/sbin
daemon_directory=$usr/lib/postfix/sbin
data_directory=$self->{root}/data
shlib_directory=$usr/lib/postfix
meta_directory=$self->{root}/etc
mail_owner=pxpostfix
setgid_group=pxpostdrop
inet_interfaces=127.0.0.1
inet_protocols=ipv4
myhostname=bench.test
mydestination=bench.test
mynetworks=127.0.0.0/8
alias_maps=
import_environment=MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C
transport_maps=texthash:$self->{root}/etc/transport
home_mailbox=Maildir/
message_size_limit=52428800
mailbox_size_limit=0
default_process_limit=300
smtp_tls_security_level=none
$more
END
}

sub setup {
    my ($self) = @_;
    my $root = $self->{root};
    my ($uid, $gid) = (getpwnam 'pxpostfix')[2, 3];
    my $drop = getgrnam 'pxpostdrop';
    make_dir("$root/etc");
    make_dir("$root/data", $uid, $gid, 0700);
    make_dir("$root/spool");
    make_dir("$root/spool/$_", $uid, $gid, 0700)
      for qw(active bounce corrupt defer deferred flush hold incoming private saved trace);
    make_dir("$root/spool/pid");
    make_dir("$root/spool/public",   $uid, $drop, 0710);
    make_dir("$root/spool/maildrop", $uid, $drop, 0730);
    spit("$root/etc/main.cf", $self->configuration());
    spit("$root/etc/master.cf", join '', map { "$_\n" } "127.0.0.1:$self->{port} inet n - n - - smtpd", @SERVICES);
    spit("$root/etc/transport", join '', map { "$_->[0] smtp:[$_->[1]]:$Bench::Mta::SINK\n" } $self->relays());
    copy("$self->{package}/usr/share/postfix/dynamicmaps.cf", "$root/etc/");
    return;
}

sub argv {
    my ($self) = @_;
    return ("$self->{package}/usr/lib/postfix/sbin/master", '-d', '-c', "$self->{root}/etc");
}

sub environment { my ($self) = @_; $ENV{MAIL_CONFIG} = "$self->{root}/etc"; return }

sub version_command {
    my ($self) = @_;
    return ("$self->{package}/usr/sbin/postconf", '-c', "$self->{root}/etc", 'mail_version');
}

sub accounts {
    return (['pxpostfix:x:990:990::/:/bin/false'], ['pxpostfix:x:990:', 'pxpostdrop:x:993:']);
}

# An unpacked Postfix finds its libraries by the loader's cache only, for it
# cleans its environment. It logs to /dev/log, where the caller listens.
sub prepare {
    my ($class, $scratch, $package) = @_;
    return if $package eq '';
    spit("$scratch/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n$package/usr/lib/postfix\n");
    command('ldconfig', '-X', '-C', "$scratch/ld.so.cache", '-f', "$scratch/ld.so.conf");
    command('mount', '--bind', "$scratch/ld.so.cache", '/etc/ld.so.cache');
    return;
}

1;
