package eval

import (
	"context"
	"strings"
	"testing"
)

// What lm-eval 0.4.13 asks of each record: context, then the choices with the space before them.
func TestShapes(t *testing.T) {
	for _, c := range []struct {
		record, lang, context string
		choices               string
		gold                  int
	}{
		{`{"query":"Question: Why?\n","choices":["a","b"],"gold":1}`, "", "Question: Why?\nAnswer:", "a|b", 1},
		{`{"query":"The man turned on the faucet, therefore","choices":["a","b"],"gold":1}`, "", "The man turned on the faucet, therefore", "a|b", 1},
		{`{"goal":"Boil","sol1":"x","sol2":"y","label":0}`, "", "Question: Boil\nAnswer:", "x|y", 0},
		{`{"question":"Why?","choices":{"text":["p","q","r"],"label":["A","B","C"]},"answerKey":"C"}`, "", "Question: Why?\nAnswer:", "p|q|r", 2},
		{`{"ctx_a":"A man [step] sits.","ctx_b":"then HE","activity_label":"Sitting","endings":["x [title] y","z"],"label":"1"}`, "", "Sitting: A man sits. Then he", "x. y|z", 1},
		{`{"premise":"Kaca pecah.","question":"cause","choices":["Ia jatuh.","Ia kecil."],"label":0}`, "id", "Kaca pecah karena", "ia jatuh.|ia kecil.", 0},
		{`{"premise":"전쟁이 시작되었다.","question":"결과","choices":["가","나"],"label":1}`, "ko", "전쟁이 시작되었다.  그래서", "가|나", 1},
		{`{"passage":"글","question":"물음?","label":1}`, "ko", "글 질문: 물음? 답변: ", "아니오|예", 1},
		{`{"passage":"P","question":"is it","label":1}`, "", "P\nQuestion: is it?\nAnswer:", "no|yes", 1},
		{`{"word":"말","context_1":"가 [말]","context_2":"나 [말]","label":0}`, "ko", "문장1: 가 [말] 문장2: 나 [말] 두 문장에서 말가 같은 뜻으로 쓰였나?", "아니오|예", 0},
		{`{"text":"좋다","label":1}`, "ko", "문장: 좋다 긍부정:", "부정|긍정", 1},
		{`{"context":"공이 온다.","choices":["가","나"],"label":0}`, "ko", "문장: 공이 온다.", "가|나", 0},
		{`{"good":"A b.","bad":"B a."}`, "", "", "A b.|B a.", 0},
		{`{"context":"I care about ","continuation":"signs"}`, "", "I care about", "signs", 0},
		{`{"question":"How many?","answer":"1 + 1 = 2\n#### 2"}`, "", "Question: How many?\nAnswer:", "", 0},
	} {
		s, err := Parse(context.Background(), "x", strings.NewReader(c.record), c.lang)
		if err != nil {
			t.Errorf("%s: %v", c.record, err)
			continue
		}
		it := s.Items[0]
		if it.Contexts[0] != c.context || strings.Join(it.Choices, "|") != c.choices || it.Gold != c.gold {
			t.Errorf("%s: %q, %q, %d", c.record, it.Contexts[0], it.Choices, it.Gold)
		}
	}
}

func TestSchemasHaveTwoContexts(t *testing.T) {
	for _, record := range []string{
		`{"context_options":["The cup because the cup","The cup because the bag"],"continuation":"is too large.","gold":1}`,
		`{"sentence":"The cup because _ is too large.","option1":"the cup","option2":"the bag","answer":"2"}`,
	} {
		s, err := Parse(context.Background(), "x", strings.NewReader(record), "")
		if err != nil {
			t.Fatal(err)
		}
		it := s.Items[0]
		if it.context(1) != "The cup because the bag" || it.Choices[1] != "is too large." || it.Gold != 1 || it.example() != "The cup because the bag is too large." {
			t.Errorf("%s: %+v", record, it)
		}
	}
}

func TestBadRecords(t *testing.T) {
	for _, c := range []struct{ lines, want string }{
		{"", "no questions"},
		{"[1]", "line 1: no JSON object"},
		{`{"a":1}`, `fields "a": no known set`},
		{`{"query":"q","choices":["a"],"gold":0}`, "1 choices"},
		{`{"query":"q","choices":["a","b"],"gold":2}`, "number 2 of 2"},
		{`{"query":"q","choices":["a",""],"gold":0}`, "choice 1 is empty"},
		{`{"query":3,"choices":["a","b"],"gold":0}`, `field "query"`},
		{`{"premise":"p.","question":"cause","choices":["a","b"],"label":0}`, `language ""`},
		{`{"sentence":"no gap","option1":"a","option2":"b","answer":"1"}`, "a gap"},
		{"{\"good\":\"a\",\"bad\":\"b\"}\n\n{\"text\":\"a\",\"label\":1}", "line 3: a record of kobest-sentineg"},
		{"{\"good\":\"\xff\",\"bad\":\"b\"}", "UTF-8"},
	} {
		if _, err := Parse(context.Background(), "x", strings.NewReader(c.lines), ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %q", c.lines, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"good":"a","bad":"b"}`, `{"question":"q","choices":{"text":["p"],"label":["A"]},"answerKey":"A"}`, `{"query":"q","choices":["a","b"],"gold":-1}`,
		`{"premise":"","question":"cause","choices":["",""],"label":0,"lang":"th"}`, `{"ctx_a":"","ctx_b":"","activity_label":"","endings":[],"label":""}`, `{"context_options":[],"continuation":"","gold":0}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		s, err := Parse(context.Background(), "x", strings.NewReader(lines), "")
		if err != nil {
			return
		}
		for i := range s.Items {
			it := &s.Items[i]
			it.example()
			if s.Kind == Choice && it.Choices[it.Gold] == "" {
				t.Errorf("%q: an empty choice was let through", lines)
			}
			for k := range it.Choices {
				it.context(k)
			}
		}
	})
}
