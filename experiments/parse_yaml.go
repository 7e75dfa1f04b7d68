package experiments

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parseYAML reads the documents of a YAML file. Empty documents are nil.
func parseYAML(s *source) (docs []*node, err error) {
	defer func() {
		// The library is not proof against every input; a file is never a reason
		// to crash.
		if r := recover(); r != nil {
			docs, err = nil, Problem{File: s.name, Message: fmt.Sprintf("this is not YAML that can be read: %v", r)}
		}
	}()
	if n := bytes.Count(s.text, []byte("\n---")); n > maxDocuments {
		return nil, Problem{File: s.name, Message: fmt.Sprintf("more than %d documents in one file: split it", maxDocuments)}
	}
	tokens := lexer.Tokenize(string(s.text))
	if err := checkTokens(s, tokens); err != nil {
		return nil, err
	}
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxProblem(s, err)
	}
	for _, d := range f.Docs {
		if d.Body == nil || d.Body.Type() == ast.NullType {
			docs = append(docs, nil)
			continue
		}
		g := grower{source: s, anchors: map[string]*node{}}
		n, err := g.grow(d.Body, 0)
		if err != nil {
			return nil, err
		}
		docs = append(docs, n)
	}
	return docs, nil
}

// maxTokens bounds the work of the parser.
const maxTokens = 4 * maxNodes

// checkTokens refuses what would nest too deep, before the parser recurses.
func checkTokens(s *source, tokens token.Tokens) error {
	if len(tokens) > maxTokens {
		return Problem{File: s.name, Message: "this is too much for one experiment file: split it"}
	}
	flow, run, line := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
			run++
		case token.MappingEndType, token.SequenceEndType:
			flow = max(0, flow-1)
			run = 0
		case token.SequenceEntryType, token.MappingKeyType:
			if t.Position.Line != line {
				run = 0
			}
			run++
		case token.TagType, token.AnchorType:
			run++
		default:
			run = 0
		}
		line = t.Position.Line
		if flow > maxDepth || run > maxDepth {
			return s.problem(line, t.Position.Column, "", "nested too deep")
		}
	}
	return nil
}

// syntaxProblem says what the parser did not understand. The library's own text
// of the error is not used: making it takes minutes for a long line.
func syntaxProblem(s *source, err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		t := at.GetToken()
		p := s.problem(t.Position.Line, t.Position.Column, firstLine(strings.TrimSpace(t.Value)), "this is not YAML: "+at.GetMessage())
		if strings.HasPrefix(strings.TrimLeft(p.source, " "), "\t") {
			p.Message += "; indent with spaces, not tabs"
		}
		return p
	}
	return Problem{File: s.name, Message: "this is not YAML: " + shorten(err.Error())}
}

// grower makes nodes from the library's syntax tree.
type grower struct {
	source  *source
	anchors map[string]*node
}

func (g *grower) problem(n ast.Node, message string) error {
	p := Problem{File: g.source.name, Message: message}
	if n == nil {
		return p
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return g.source.problem(t.Position.Line, t.Position.Column, firstLine(t.Value), message)
	}
	return p
}

func (g *grower) grow(a ast.Node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, g.problem(a, "nested too deep")
	}
	switch t := a.(type) {
	case *ast.AnchorNode:
		n, err := g.grow(t.Value, depth+1)
		if err != nil {
			return nil, err
		}
		g.anchors[t.Name.GetToken().Value] = n
		return n, nil
	case *ast.AliasNode:
		n, ok := g.anchors[t.Value.GetToken().Value]
		if !ok {
			return nil, g.problem(a, fmt.Sprintf("alias *%s: there is no anchor &%[1]s before it", t.Value.GetToken().Value))
		}
		return n, nil
	case *ast.TagNode:
		return g.tagged(t, depth)
	case *ast.MappingNode:
		return g.mapping(a, t.Values, depth)
	case *ast.MappingValueNode:
		return g.mapping(a, []*ast.MappingValueNode{t}, depth)
	case *ast.SequenceNode:
		return g.sequence(t, depth)
	case ast.ScalarNode:
		return g.scalar(t)
	}
	return nil, g.problem(a, "this kind of YAML is not used in experiment files")
}

// tagged grows a value with a tag; only !!str means something here.
func (g *grower) tagged(t *ast.TagNode, depth int) (*node, error) {
	name := t.Start.Value
	if name != "!!str" && name != "!!map" && name != "!!seq" && name != "!!int" && name != "!!bool" && name != "!!float" {
		return nil, g.problem(t, fmt.Sprintf("the tag %s is not used in experiment files: leave it out", name))
	}
	n, err := g.grow(t.Value, depth+1)
	if err == nil && name == "!!str" && n.kind == scalar {
		quoted := *n
		quoted.plain = false
		return &quoted, nil
	}
	return n, err
}

func (g *grower) sequence(t *ast.SequenceNode, depth int) (*node, error) {
	n := g.place(t, &node{kind: sequence})
	for _, v := range t.Values {
		c, err := g.grow(v, depth+1)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, c)
	}
	if err := n.weigh(); err != nil {
		return nil, g.problem(t, err.Error())
	}
	return n, nil
}

func (g *grower) mapping(a ast.Node, values []*ast.MappingValueNode, depth int) (*node, error) {
	n := g.place(a, &node{kind: mapping})
	var (
		merged  []*node
		mergeAt ast.Node
	)
	for i, v := range values {
		c, err := g.grow(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		if v.Key.IsMergeKey() {
			merged, mergeAt = append(merged, c), v.Key
			continue
		}
		k, err := g.key(v.Key, depth)
		if err != nil {
			return nil, err
		}
		if i == 0 && n.col > k.col && n.line == k.line {
			n.line, n.col = k.line, k.col // a block mapping begins with its first key
		}
		if c.null() && c.line == 0 {
			c.line, c.col = k.line, k.col
		}
		n.entries = append(n.entries, entry{k, c})
	}
	for _, m := range merged {
		if err := g.merge(mergeAt, n, m); err != nil {
			return nil, err
		}
	}
	if err := n.weigh(); err != nil {
		return nil, g.problem(a, err.Error())
	}
	return n, nil
}

// merge adds what "<<" names: a mapping or a list of mappings. What is written
// in n itself wins.
func (g *grower) merge(a ast.Node, n, m *node) error {
	if m.kind == sequence {
		for _, i := range m.items {
			if err := g.merge(a, n, i); err != nil {
				return err
			}
		}
		return nil
	}
	if m.kind != mapping {
		return g.problem(a, "<< takes an alias of a mapping")
	}
	have := make(map[string]bool, len(n.entries))
	for _, e := range n.entries {
		have[e.key.text] = true
	}
	for _, e := range m.entries {
		if !have[e.key.text] {
			n.entries = append(n.entries, e)
		}
	}
	return nil
}

func (g *grower) key(k ast.MapKeyNode, depth int) (*node, error) {
	var a ast.Node = k
	if explicit, ok := k.(*ast.MappingKeyNode); ok {
		a = explicit.Value
	}
	n, err := g.grow(a, depth+1)
	if err != nil {
		return nil, err
	}
	if n.kind != scalar {
		return nil, g.problem(a, "a key must be text")
	}
	return n, nil
}

func (g *grower) scalar(a ast.ScalarNode) (*node, error) {
	n := g.place(a, &node{weight: 1})
	switch t := a.(type) {
	case *ast.StringNode:
		n.text = t.Value
		n.plain = t.Token.Type != token.SingleQuoteType && t.Token.Type != token.DoubleQuoteType
	case *ast.LiteralNode:
		n.text = t.Value.Value
	case *ast.NullNode:
		n.text, n.plain = "null", true
	default:
		n.text, n.plain = strings.TrimSpace(a.GetToken().Value), true
	}
	return n, nil
}

// place sets where n is.
func (g *grower) place(a ast.Node, n *node) *node {
	if t := a.GetToken(); t != nil && t.Position != nil {
		n.line, n.col = t.Position.Line, t.Position.Column
	}
	return n
}
