package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every package has a doc.go that says what it is for, and every exported thing a comment.
func TestEverythingIsExplained(t *testing.T) {
	const root = "../.."
	explained := map[string]bool{} // directories with Go code: a doc.go explains it
	files := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		if err != nil || d.IsDir() {
			if d != nil && path != root && (name == "testdata" || name == "shared" || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		explained[dir] = explained[dir] || name == "doc.go" && f.Doc != nil
		if f.Name.Name != "main" {
			for _, d := range f.Decls {
				for _, id := range unexplained(d) {
					t.Errorf("%s: %s is exported and has no comment", files.Position(id.Pos()), id.Name)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(explained) < 20 {
		t.Fatalf("only %d packages were found", len(explained))
	}
	for dir, ok := range explained {
		if _, err := os.Stat(filepath.Join(dir, "doc.go")); err != nil || !ok {
			t.Errorf("%s has no doc.go with a package comment", dir)
		}
	}
}

// unexplained are the exported names of a declaration without a comment. One comment does for a group of
// constants or variables, that of their type for the values of a type; what an unexported type
// does for an interface is explained there, and Error speaks for itself.
func unexplained(d ast.Decl) (names []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && d.Name.Name != "Error" && (d.Recv == nil || exportedReceiver(d.Recv.List[0].Type)) {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		group := d.Doc != nil
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Doc == nil && s.Comment == nil && !group && s.Name.IsExported() {
					names = append(names, s.Name)
				}
			case *ast.ValueSpec:
				group = group || s.Type != nil || s.Doc != nil || s.Comment != nil // those that follow belong to it
				for _, n := range s.Names {
					if !group && n.IsExported() {
						names = append(names, n)
					}
				}
			}
		}
	}
	return names
}

func exportedReceiver(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.StarExpr:
		return exportedReceiver(e.X)
	case *ast.IndexExpr:
		return exportedReceiver(e.X)
	case *ast.Ident:
		return e.IsExported()
	}
	return false
}
