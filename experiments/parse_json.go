package experiments

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// parseJSON reads the documents of a JSON file: one value after another.
func parseJSON(s *source) ([]*node, error) {
	p := &jsonParser{source: s, decoder: json.NewDecoder(bytes.NewReader(s.text))}
	p.decoder.UseNumber()
	var docs []*node
	for {
		n, err := p.value(0)
		if errors.Is(err, io.EOF) && n == nil && p.clean {
			return docs, nil
		}
		if err != nil {
			return nil, p.located(err)
		}
		docs = append(docs, n)
	}
}

type jsonParser struct {
	source  *source
	decoder *json.Decoder
	clean   bool // between two documents
	offset  int  // up to which line and col are counted
	line    int
	start   int // offset of the line's beginning
}

func (p *jsonParser) located(err error) error {
	var problem Problem
	if errors.As(err, &problem) {
		return problem
	}
	at := int(p.decoder.InputOffset())
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = max(0, int(syntax.Offset)-1)
	}
	message := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		message = "the text ends too early"
	}
	line, col := position(p.source.text, at)
	return p.source.problem(line, col, "", "this is not JSON: "+message)
}

// token reads a token and tells where it begins.
func (p *jsonParser) token() (json.Token, *node, error) {
	at := int(p.decoder.InputOffset())
	tok, err := p.decoder.Token()
	for at < len(p.source.text) && bytes.IndexByte([]byte(" \t\r\n,:"), p.source.text[at]) >= 0 {
		at++
	}
	n := &node{line: p.line + 1}
	for ; p.offset < at; p.offset++ {
		if p.source.text[p.offset] == '\n' {
			p.line, p.start = p.line+1, p.offset+1
		}
	}
	n.line, n.col = p.line+1, 1+len([]rune(string(p.source.text[p.start:at])))
	return tok, n, err
}

func (p *jsonParser) value(depth int) (*node, error) {
	p.clean = depth == 0
	tok, n, err := p.token()
	if err != nil {
		return nil, err
	}
	p.clean = false
	return p.rest(tok, n, depth)
}

func (p *jsonParser) rest(tok json.Token, n *node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, p.source.problem(n.line, n.col, "", "nested too deep")
	}
	switch t := tok.(type) {
	case json.Delim:
		return p.composite(t, n, depth)
	case string:
		n.text = t
	case json.Number:
		n.text, n.plain = t.String(), true
	case bool:
		n.text, n.plain = fmt.Sprint(t), true
	case nil:
		n.text, n.plain = "null", true
	}
	return n, n.weigh()
}

func (p *jsonParser) composite(open json.Delim, n *node, depth int) (*node, error) {
	n.kind = sequence
	if open == '{' {
		n.kind = mapping
	}
	for p.decoder.More() {
		var key *node
		if n.kind == mapping {
			tok, k, err := p.token()
			if err != nil {
				return nil, err
			}
			k.text, _ = tok.(string)
			key = k
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if key != nil {
			n.entries = append(n.entries, entry{key, v})
		} else {
			n.items = append(n.items, v)
		}
	}
	if _, _, err := p.token(); err != nil {
		return nil, err
	}
	return n, n.weigh()
}
