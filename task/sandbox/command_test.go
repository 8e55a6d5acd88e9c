package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/task"
)

// TestMain is also the program that commands run: with a first argument it plays one.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "play" {
		play(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

// play answers requests; how says in which way it misbehaves at verify.
func play(how string) {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var q request
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			os.Exit(3)
		}
		switch q.Op {
		case "generate":
			fmt.Printf(`{"id":%d,"item":{"prompt":"double %d","answer":"%d"}}`+"\n", q.ID, q.N, 2*q.N)
		case "demonstrate":
			fmt.Printf(`{"id":%d,"work":"w","answer":%q}`+"\n", q.ID, q.Item.Answer)
		case "verify":
			reward := 0
			if *q.Answer == q.Item.Answer {
				reward = 1
			}
			if *q.Answer != "attack" {
				how = ""
			}
			misbehave(how, q.ID, reward)
			how = os.Args[2]
		}
	}
}

func misbehave(how string, id uint64, reward int) {
	switch how {
	case "crash":
		fmt.Fprintln(os.Stderr, "out of cheese")
		os.Exit(1)
	case "hang":
		select {} // the tester ends it
	case "flood":
		for {
			fmt.Print(strings.Repeat("x", 1<<16))
		}
	case "nonsense":
		fmt.Println("reward: 1")
	case "two":
		fmt.Printf(`{"id":%d,"reward":1}{"id":%d,"reward":1}`+"\n", id, id)
	case "no reward":
		fmt.Printf(`{"id":%d}`+"\n", id)
	case "too much":
		fmt.Printf(`{"id":%d,"reward":7}`+"\n", id)
	case "ahead":
		fmt.Printf(`{"id":%d,"reward":1}`+"\n", id+1)
	case "not UTF-8":
		fmt.Printf("{\"id\":%d,\"reward\":\xff}\n", id)
	case "says so":
		fmt.Printf(`{"id":%d,"error":"cannot"}`+"\n", id)
	case "closes":
		os.Stdout.Close()
		select {}
	default:
		fmt.Printf(`{"id":%d,"reward":%d,"detail":"d"}`+"\n", id, reward)
	}
}

func player(t *testing.T, how string, lim Limits) *Command {
	t.Helper()
	c, err := NewCommand([]string{os.Args[0], "play", how}, lim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCommand(t *testing.T) {
	c := player(t, "well", Limits{Time: time.Minute})
	trained := map[string]bool{}
	for n := range uint64(20) {
		it, err := c.Item(task.Train, 1, n)
		if err != nil {
			t.Fatal(err)
		}
		trained[it.ID] = true
		text, err := c.Demonstrate(it)
		if err != nil {
			t.Fatal(err)
		}
		if v := c.Verify(context.Background(), it, text); v.Reward != 1 || !v.Correct || v.Err != nil {
			t.Fatalf("%q: %+v", text, v)
		}
		if v := c.Verify(context.Background(), it, task.Compose("", "7")); v.Reward != 0 || v.Err != nil || v.Detail != "d" {
			t.Fatalf("wrong: %+v", v)
		}
	}
	held, err := task.HeldOutSet(c, 1, 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range held {
		if trained[it.ID] {
			t.Fatal("on both sides")
		}
	}
}

// TestCommandMisbehaves: the sample fails, the error says what happened, and the next sample is judged by a new process.
func TestCommandMisbehaves(t *testing.T) {
	it := task.Item{Prompt: "double 4", Answer: "8"}
	for how, want := range map[string]string{
		"crash": "out of cheese", "hang": "no answer within", "flood": "too long", "nonsense": "not a JSON object", "two": "more than one",
		"no reward": "no reward", "too much": "no reward", "ahead": "has the id", "not UTF-8": "not a JSON object", "says so": `"cannot"`, "closes": "ended",
	} {
		lim := Limits{Time: time.Minute}
		if how == "hang" {
			lim.Time = 100 * time.Millisecond
		}
		c := player(t, how, lim)
		v := c.Verify(context.Background(), it, task.Compose("", "attack"))
		if v.Err == nil || v.Reward != 0 || v.Correct || v.Lenient || !strings.Contains(v.Err.Error(), want) {
			t.Errorf("%s: %+v, want %q", how, v, want)
		}
		c.lim.Time = time.Minute
		if v := c.Verify(context.Background(), it, task.Compose("", "8")); !v.Correct || v.Err != nil {
			t.Errorf("%s: the next is judged %+v", how, v)
		}
	}
}

func TestOpen(t *testing.T) {
	for spec, want := range map[string]string{
		"add": "", "testdata/prices.star": "", "nothing": "no such rung", "none.star": "none.star", "cmd:": "no program", "cmd:/no/such/program x": "no such file",
	} {
		_, err := Open(spec)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", spec, err, want)
		}
	}
}

func FuzzParseResponse(f *testing.F) {
	f.Add([]byte(`{"id":1,"reward":0.5,"item":{"prompt":"a","data":{"x":[1]}}}`))
	f.Add([]byte(`{"reward":1e999}`))
	f.Add([]byte(strings.Repeat("[", 10000)))
	f.Fuzz(func(t *testing.T, line []byte) { _, _ = parseResponse(line) })
}
