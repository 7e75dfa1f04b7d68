package netns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// payload is the largest UDP answer asked for, which no path of 1280 bytes
// fragments (DNS flag day 2020).
const payload = 1232

// errTruncated says that an answer did not fit into a datagram.
var errTruncated = errors.New("truncated answer")

// query asks the servers in turn for one type. No addresses and no error: the
// name has none.
func (r *Resolver) query(ctx context.Context, fqdn string, t dnsmessage.Type, c conf) ([]netip.Addr, error) {
	name, err := dnsmessage.NewName(fqdn)
	if err != nil {
		return nil, fmt.Errorf("%q is no DNS name: %w", fqdn, err)
	}
	q := dnsmessage.Question{Name: name, Type: t, Class: dnsmessage.ClassINET}
	last := error(nil)
	for range c.attempts {
		for _, server := range c.servers {
			addrs, err := r.exchange(ctx, server, q, c)
			if err == nil {
				return addrs, nil
			}
			last = err
			if ctx.Err() != nil {
				return nil, last
			}
		}
	}
	return nil, last
}

// exchange asks one server once, over TCP when the answer needs it.
func (r *Resolver) exchange(ctx context.Context, server netip.AddrPort, q dnsmessage.Question, c conf) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if !c.stream {
		addrs, err := r.over(ctx, "udp", server, q)
		if !errors.Is(err, errTruncated) {
			return addrs, err
		}
	}
	return r.over(ctx, "tcp", server, q)
}

func (r *Resolver) over(ctx context.Context, network string, server netip.AddrPort, q dnsmessage.Question) ([]netip.Addr, error) {
	conn, err := dialAddr(ctx, r.Site.NetNS, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	id := uint16(rand.Uint32()) //nolint:gosec // not a choice of the run: it only tells answers apart
	packet, err := pack(id, q)
	if err != nil {
		return nil, err
	}
	ask := datagrams
	if network == "tcp" {
		ask = stream
	}
	addrs, err := ask(conn, packet, id, q)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("name server %s: %w", server, ctx.Err())
	}
	return addrs, err
}

func pack(id uint16, q dnsmessage.Question) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	b.EnableCompression()
	var opt dnsmessage.ResourceHeader
	err := errors.Join(b.StartQuestions(), b.Question(q), b.StartAdditionals(),
		opt.SetEDNS0(payload, dnsmessage.RCodeSuccess, false), b.OPTResource(opt, dnsmessage.OPTResource{}))
	if err != nil {
		return nil, err
	}
	return b.Finish()
}

// datagrams sends packet and reads until an answer to it comes; others are stray.
func datagrams(conn net.Conn, packet []byte, id uint16, q dnsmessage.Question) ([]netip.Addr, error) {
	if _, err := conn.Write(packet); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if addrs, ours, err := parse(buf[:n], id, q); ours {
			return addrs, err
		}
	}
}

func stream(conn net.Conn, packet []byte, id uint16, q dnsmessage.Question) ([]netip.Addr, error) {
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(packet)))
	if _, err := conn.Write(append(framed, packet...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, err
	}
	addrs, ours, err := parse(buf, id, q)
	if !ours {
		return nil, errors.New("the name server answered another question")
	}
	return addrs, err
}

// parse reads an answer; ours is false for a message that answers something else.
func parse(msg []byte, id uint16, q dnsmessage.Question) (addrs []netip.Addr, ours bool, err error) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || !h.Response || h.ID != id {
		return nil, false, nil
	}
	asked, err := p.Question()
	if err != nil || asked.Type != q.Type || asked.Class != q.Class || !strings.EqualFold(asked.Name.String(), q.Name.String()) {
		return nil, false, nil
	}
	switch {
	case h.Truncated:
		return nil, true, errTruncated
	case h.RCode == dnsmessage.RCodeNameError:
		return nil, true, nil
	case h.RCode != dnsmessage.RCodeSuccess:
		return nil, true, fmt.Errorf("the name server answered %s", strings.TrimPrefix(h.RCode.String(), "RCode"))
	}
	if err := p.SkipAllQuestions(); err != nil {
		return nil, true, err
	}
	addrs, err = answers(&p)
	return addrs, true, err
}

// answers gathers the addresses of the answer section. A recursive server puts
// the whole chain of aliases into it, so their owners need no check.
func answers(p *dnsmessage.Parser) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return addrs, nil
		}
		if err != nil {
			return nil, err
		}
		switch h.Type {
		case dnsmessage.TypeA:
			r, err := p.AResource()
			if err != nil {
				return nil, err
			}
			addrs = append(addrs, netip.AddrFrom4(r.A))
		case dnsmessage.TypeAAAA:
			r, err := p.AAAAResource()
			if err != nil {
				return nil, err
			}
			addrs = append(addrs, netip.AddrFrom16(r.AAAA))
		default:
			if err := p.SkipAnswer(); err != nil {
				return nil, err
			}
		}
	}
}
