// This file holds the choice: what the embedded corpus takes, in order of preference for each
// language, and how many bytes of it. Real prose comes first; machine translation only fills the
// languages that have little else. Share-alike and Apache-only sources are not listed.

package main

// how a source's text is made ready.
type treatment int

const (
	asIs     treatment = iota
	prose              // code blocks and tables left out
	fewNames           // the records with the fewest personal titles, for official news
	clean              // prose, and pictograms left out
)

// pick takes text/FOLDER/FILE.jsonl[.zst].
type pick struct {
	lang   string // tag in the corpus; regional variants are joined
	folder string
	file   string
	author string
	do     treatment
	cap    int // bytes of text, 0 for all
}

const (
	osg       = "GitHub, Inc. and the contributors and translators of opensource.guide"
	react     = "Meta Platforms, Inc. and the contributors and translators of the React documentation"
	udhr      = "United Nations, Universal Declaration of Human Rights"
	tldr      = "the contributors of tldr-pages"
	microsoft = "Microsoft Corporation; machine translation by Co-op Translator"
)

var picks = []pick{
	{"en", "war-and-peace", "en", "Leo Tolstoy, translated by Louise and Aylmer Maude", asIs, 620 << 10},
	{"en", "nltk-state-union", "en", "presidents of the United States (government works)", asIs, 420 << 10},
	{"en", "nltk-genesis", "english-web", "World English Bible", asIs, 0},
	{"en", "opensource-guide", "en", osg, asIs, 0},
	{"en", "nltk-udhr2", "en", udhr, asIs, 0},

	{"es", "classics", "es-cervantes-don-quijote", "Miguel de Cervantes Saavedra", asIs, 500 << 10},
	{"es", "classics", "es-galdos-caballero-encantado", "Benito Pérez Galdós", asIs, 0},
	{"es", "opensource-guide", "es", osg, asIs, 0},
	{"es", "react-docs", "es", react, prose, 100 << 10},
	{"es", "nltk-udhr2", "es", udhr, asIs, 0},

	{"pt", "classics", "pt-machado-dom-casmurro", "Joaquim Maria Machado de Assis", asIs, 0},
	{"pt", "classics", "pt-machado-quincas-borba", "Joaquim Maria Machado de Assis", asIs, 0},
	{"pt", "opensource-guide", "pt", osg, asIs, 0},
	{"pt", "react-docs", "pt-BR", react, prose, 200 << 10},
	{"pt", "nltk-udhr2", "pt-BR", udhr, asIs, 0},
	{"pt", "nltk-udhr2", "pt-PT", udhr, asIs, 0},

	{"tl", "classics", "tl-rizal-noli-me-tangere", "José Rizal, translated by Pascual H. Poblete", asIs, 640 << 10},
	{"tl", "classics", "tl-rizal-el-filibusterismo", "José Rizal, translated by Patricio Mariano", asIs, 560 << 10},
	{"tl", "nltk-udhr2", "tl", udhr, asIs, 0},

	{"id", "opensource-guide", "id", osg, asIs, 0},
	{"id", "react-docs", "id", react, prose, 0},
	{"id", "typescript-handbook", "id", "Microsoft Corporation and the translators of the TypeScript handbook", prose, 0},
	{"id", "tldr-pages", "id", tldr, asIs, 40 << 10},
	{"id", "edgeai-for-beginners", "id", microsoft, clean, 260 << 10},
	{"id", "nltk-udhr2", "id", udhr, asIs, 0},

	{"ko", "opensource-guide", "ko", osg, asIs, 0},
	{"ko", "rust-book", "ko", "Steve Klabnik, Carol Nichols and the Rust community; translated by rust-kr", prose, 0},
	{"ko", "react-docs", "ko", react, prose, 640 << 10},
	{"ko", "nltk-udhr2", "ko", udhr, asIs, 0},

	{"vi", "react-docs", "vi", react, prose, 0},
	{"vi", "edgeai-for-beginners", "vi", microsoft, clean, 860 << 10},
	{"vi", "azd-for-beginners", "vi", microsoft, clean, 300 << 10},
	{"vi", "nltk-udhr2", "vi", udhr, asIs, 0},

	{"ar", "opensource-guide", "ar", osg, asIs, 0},
	{"ar", "react-docs", "ar", react, prose, 0},
	{"ar", "tldr-pages", "ar", tldr, asIs, 30 << 10},
	{"ar", "edgeai-for-beginners", "ar", microsoft, clean, 900 << 10},
	{"ar", "nltk-udhr2", "ar", udhr, asIs, 0},

	{"th", "thaigov-v2", "th", "the Government of Thailand; collected by PyThaiNLP", fewNames, 2600 << 10},
	{"th", "tldr-pages", "th", tldr, asIs, 0},
	{"th", "nltk-udhr2", "th", udhr, asIs, 0},
}

// free lists the licences that the corpus may hold.
var free = map[string]bool{
	"public domain": true, "CC0-1.0": true, "MIT": true, "CC-BY-4.0": true, "MIT OR Apache-2.0": true,
}
