package config

import (
	"maps"
	"slices"
)

// node is what may stand at one place of the configuration, bound to the
// field that it fills in. The tree of nodes is the one description of all
// keys: the file is read along it; the names of environment variables, the
// suggestions for misspelt keys, the printed configuration, the JSON Schema
// and the page of documentation are made from it, and two configurations are
// compared along it.
type node interface{ isNode() }

// object is a mapping with known keys. They are read in this order, whatever
// the order of the file.
type object []key

type key struct {
	name string
	node node
	doc  string // what it is for, in Markdown, without a full stop
}

// scalar is one value, given as text.
type scalar struct {
	set    func(string) error // the error quotes the value only if it is no secret
	text   func() string      // the value as set reads it; "" for none, "***" for a secret
	form   form
	secret bool
	file   bool // it names a file or a folder, relative to the file that it stands in

	// content is what decides beside the text whether the value has changed: a
	// secret, or what a file held when it was read. Nil when there is none.
	content func() []byte
}

// list is a sequence.
type list struct {
	reset func()      // forgets the default
	grow  func() node // appends an element and returns where it is filled in
	len   func() int
	at    func(int) node
	fresh func(int) node // element i as it was before anything filled it in

	texts   bool // of texts: one line with commas can give it
	always  bool // an empty one says something: it is printed
	brief   bool // its elements are printed without what they have by default
	scalars bool // its elements are single values
}

// dict is a mapping with free keys.
type dict struct {
	set    func(name, value string) error
	values func() map[string]string
	form   form // of a value
}

func (object) isNode()  {}
func (*scalar) isNode() {}
func (*list) isNode()   {}
func (*dict) isNode()   {}

// walkLeaves visits every node that is no object, outside lists.
func walkLeaves(path string, o object, visit func(path string, n node)) {
	for _, k := range o {
		p := member(path, k.name)
		if inner, ok := k.node.(object); ok {
			walkLeaves(p, inner, visit)
			continue
		}
		visit(p, k.node)
	}
}

// walkScalars visits every scalar that there is, also those in lists.
func walkScalars(path string, n node, visit func(path string, s *scalar)) {
	switch n := n.(type) {
	case object:
		for _, k := range n {
			walkScalars(member(path, k.name), k.node, visit)
		}
	case *list:
		for i := range n.len() {
			walkScalars(element(path, i), n.at(i), visit)
		}
	case *scalar:
		visit(path, n)
	case *dict: // its values have no nodes of their own
	}
}

// eachKey visits every key below n with its path, [] for the elements of lists.
func eachKey(path string, n node, visit func(path string, k key)) {
	switch n := n.(type) {
	case object:
		for _, k := range n {
			p := member(path, k.name)
			visit(p, k)
			eachKey(p, k.node, visit)
		}
	case *list:
		if !n.scalars {
			eachKey(path+"[]", n.fresh(-1), visit)
		}
	}
}

// eachName visits the path of every key, with [] for the elements of lists.
func eachName(visit func(path string, secret bool)) {
	eachKey("", new(Config).keys(), func(path string, k key) {
		s, isScalar := k.node.(*scalar)
		visit(path, isScalar && s.secret)
	})
}

// Keys returns the path of every key, with [] for the elements of a list, in
// the order of the documentation.
func Keys() []string {
	var paths []string
	eachName(func(path string, _ bool) { paths = append(paths, path) })
	return paths
}

// names of the entries, sorted.
func (d *dict) names() []string { return slices.Sorted(maps.Keys(d.values())) }
