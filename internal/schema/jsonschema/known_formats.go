package jsonschema

import santhosh "github.com/santhosh-tekuri/jsonschema/v6"

// knownFormats finds formats by their names, as a compiler of newCompiler does.
type knownFormats map[string]*santhosh.Format

// format returns nil for a format that is only told. The library lists its
// formats nowhere, but compiles a schema of one.
func (k knownFormats) format(name string) *santhosh.Format {
	f, known := k[name]
	if known {
		return f
	}
	if own, ok := ownFormats()[name]; ok {
		f = formatOf(name, own)
	} else {
		f = libraryFormat(name)
	}
	k[name] = f
	return f
}

func libraryFormat(name string) *santhosh.Format {
	c := santhosh.NewCompiler()
	c.AssertFormat()
	const address = "mem://format"
	if c.AddResource(address, map[string]any{"format": name}) != nil {
		return nil // never: it is the first one
	}
	s, err := c.Compile(address)
	if err != nil {
		return nil // never: any text is a format
	}
	return s.Format
}
