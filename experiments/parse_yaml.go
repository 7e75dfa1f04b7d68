package experiments

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parseYAML reads the documents of a YAML file, without empty ones.
func parseYAML(s *source) (docs []*node, err error) {
	defer func() {
		// The library is not proof against every input; a file is never a reason
		// to crash.
		if r := recover(); r != nil {
			docs, err = nil, Problem{File: s.name, Message: fmt.Sprintf("this is not YAML that can be read: %v", r)}
		}
	}()
	if countAny(s.text, "[]{},:?-&*!|>'\"%#\n") > maxIndicators {
		return nil, tooMuch(s)
	}
	tokens := lexer.Tokenize(string(s.text))
	if err := checkTokens(s, tokens); err != nil {
		return nil, err
	}
	parts := splitDocuments(s, tokens)
	if len(parts) > maxDocuments {
		return nil, Problem{File: s.name, Message: fmt.Sprintf("more than %d documents in one file: split it", maxDocuments)}
	}
	for _, p := range parts {
		found, err := p.parse(s)
		if err != nil {
			return nil, err
		}
		docs = append(docs, found...)
	}
	return docs, nil
}

// part is the text of one document, below that many lines of others.
type part struct {
	text  string
	above int
}

// splitDocuments takes a file apart at its document marks. The library is given
// one document at a time, because it leaves out all that follow an empty one.
func splitDocuments(s *source, tokens token.Tokens) []part {
	starts := []int{1}
	for _, t := range tokens {
		at := t.Position.Line
		switch t.Type {
		case token.DocumentEndType:
			at++
		case token.DocumentHeaderType:
		default:
			continue
		}
		if at > starts[len(starts)-1] {
			starts = append(starts, at)
		}
	}
	s.line(1)
	var parts []part
	for i, from := range starts {
		to := len(s.lines)
		if i+1 < len(starts) {
			to = starts[i+1] - 1
		}
		if from <= to {
			parts = append(parts, part{strings.Join(s.lines[from-1:to], "\n") + "\n", from - 1})
		}
	}
	return parts
}

func (p part) parse(s *source) ([]*node, error) {
	g := grower{source: s, above: p.above, anchors: map[string]*node{}}
	tokens := lexer.Tokenize(p.text)
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, g.syntaxProblem(err)
	}
	var docs []*node
	for _, d := range f.Docs {
		if d.Body == nil || d.Body.Type() == ast.NullType {
			continue
		}
		n, err := g.grow(d.Body, 0)
		if err != nil {
			return nil, err
		}
		docs = append(docs, n)
	}
	if len(docs) == 0 && slices.ContainsFunc(tokens, meaningful) {
		return nil, s.problem(p.above+1, 1, "", "this document could not be read")
	}
	return docs, nil
}

// meaningful reports whether a token is part of a document and not of what is
// around it.
func meaningful(t *token.Token) bool {
	switch t.Type {
	case token.DocumentHeaderType, token.DocumentEndType, token.CommentType, token.NullType:
		return false
	}
	return strings.TrimSpace(t.Value) != ""
}

// The library takes time by the square of the tokens in a mapping, and some
// microseconds for every character that means something.
const (
	maxTokens     = 40_000
	maxIndicators = 200_000
)

func tooMuch(s *source) error {
	return Problem{File: s.name, Message: "this is too much for one experiment file: split it"}
}

func countAny(text []byte, chars string) int {
	var counted [256]bool
	for _, c := range []byte(chars) {
		counted[c] = true
	}
	n := 0
	for _, c := range text {
		if counted[c] {
			n++
		}
	}
	return n
}

// checkTokens refuses what would nest too deep, before the parser recurses.
func checkTokens(s *source, tokens token.Tokens) error {
	if len(tokens) > maxTokens {
		return tooMuch(s)
	}
	flow, run, line := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.DirectiveType:
			return s.problem(t.Position.Line, t.Position.Column, "", "YAML directives are not used in experiment files: leave this line out")
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
func (g *grower) syntaxProblem(err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		t := at.GetToken()
		p := g.source.problem(t.Position.Line+g.above, t.Position.Column, firstLine(strings.TrimSpace(t.Value)), "this is not YAML: "+shorten(at.GetMessage()))
		if strings.HasPrefix(strings.TrimLeft(p.source, " "), "\t") {
			p.Message += "; indent with spaces, not tabs"
		}
		return p
	}
	return Problem{File: g.source.name, Message: "this is not YAML: " + shorten(err.Error())}
}

// grower makes nodes from the library's syntax tree.
type grower struct {
	source  *source
	above   int // lines of the file above the document
	anchors map[string]*node
}

func (g *grower) problem(n ast.Node, message string) error {
	p := Problem{File: g.source.name, Message: message}
	if n == nil {
		return p
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return g.source.problem(t.Position.Line+g.above, t.Position.Column, firstLine(t.Value), message)
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
		n.line, n.col = t.Position.Line+g.above, t.Position.Column
	}
	return n
}
