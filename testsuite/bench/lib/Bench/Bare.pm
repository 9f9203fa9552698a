package Bench::Bare;

# No MTA: a program that makes TLS handshakes with a library and does nothing
# else, so that it can be told how much of a figure is the library's.

use strict;
use warnings;
use parent -norequire, 'Bench::Mta';
use IO::Socket::INET;

our $PROCESSES = 10;

sub setup { return }

# It greets nobody.
sub answers {
    my ($self) = @_;
    return defined IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->port, Timeout => 1);
}

sub argv {
    my ($self) = @_;
    return ($self->{program}, $self->{library}, $PROCESSES, $self->{port}, @{$self->{tls}}{qw(cert key)},
        $self->{tls}{tickets} ? 'tickets' : ());
}

1;
