package schema

import (
	"errors"
	"io"
	"sync"
)

// lease lends a payload to requests. An http.RoundTripper may go on reading a
// request's body after it has returned; the payload's buffer has its next
// owner by then.
type lease struct {
	mu  sync.Mutex
	raw []byte // nil after end
}

var errLeaseEnded = errors.New("the payload was given back")

// end takes the payload back: when it returns, nobody reads it any more.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.raw = nil
}

// reader returns the payload as the body of one request.
func (l *lease) reader() io.ReadCloser { return io.NopCloser(&leased{lease: l}) }

type leased struct {
	lease *lease
	at    int
}

// Read implements io.Reader.
func (r *leased) Read(p []byte) (int, error) {
	r.lease.mu.Lock()
	defer r.lease.mu.Unlock()
	switch {
	case r.lease.raw == nil:
		return 0, errLeaseEnded
	case r.at == len(r.lease.raw):
		return 0, io.EOF
	}
	n := copy(p, r.lease.raw[r.at:])
	r.at += n
	return n, nil
}
