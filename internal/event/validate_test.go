package event

import (
	"fmt"
	"strings"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/google/go-cmp/cmp"
)

func visit(change func(*aftertouchv1.Event)) *aftertouchv1.Event {
	e := &aftertouchv1.Event{Kind: &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}}
	change(e)
	return e
}

func purchase(change func(*aftertouchv1.Conversion)) *aftertouchv1.Event {
	c := &aftertouchv1.Conversion{Action: "purchase", OrderId: "A-1001", ValueMinor: 4999, Currency: "EUR"}
	change(c)
	return &aftertouchv1.Event{Kind: &aftertouchv1.Event_Conversion{Conversion: c}}
}

func TestNormalizeRefuses(t *testing.T) {
	id := func(field, value string) *aftertouchv1.Event {
		return visit(func(e *aftertouchv1.Event) {
			switch field {
			case "event_id":
				e.EventId = value
			case "visitor_id":
				e.VisitorId = value
			case "user_key":
				e.UserKey = value
			case "share_parent":
				e.ShareParent = value
			default:
				t.Fatalf("no field %s", field)
			}
		})
	}
	manyProperties := map[string]string{}
	for i := range maxProperties + 1 {
		manyProperties[fmt.Sprint(i)] = "x"
	}
	for _, c := range []struct {
		name  string
		event *aftertouchv1.Event
		want  Reason
	}{
		{"no kind", &aftertouchv1.Event{}, Malformed},
		{"nil conversion", &aftertouchv1.Event{Kind: &aftertouchv1.Event_Conversion{}}, Malformed},
		{"adjustment", &aftertouchv1.Event{Kind: &aftertouchv1.Event_Adjustment{}}, Malformed},
		{"consent_change", &aftertouchv1.Event{Kind: &aftertouchv1.Event_ConsentChange{}}, Malformed},
		{"unknown viewability", &aftertouchv1.Event{Kind: &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{Viewability: 9}}}, Malformed},
		{"unknown consent", visit(func(e *aftertouchv1.Event) { e.Consent = &aftertouchv1.Consent{State: 7} }), Malformed},
		{"long engagement", &aftertouchv1.Event{Kind: &aftertouchv1.Event_Engagement{Engagement: &aftertouchv1.Engagement{Type: strings.Repeat("x", 65)}}}, Malformed},
		{"id of 129", id("event_id", strings.Repeat("x", 129)), Malformed},
		{"id with tilde", id("visitor_id", "a~b"), Malformed},
		{"id with DEL", id("visitor_id", "a\x7fb"), Malformed},
		{"id with newline", id("event_id", "a\nb"), Malformed},
		{"id with umlaut", id("visitor_id", "jürgen"), Malformed},
		{"pseudo visitor", id("visitor_id", "~c/1"), Malformed},
		{"share_parent", id("share_parent", "~"), Malformed},
		{"0", id("visitor_id", "0"), PlaceholderID},
		{"null", id("visitor_id", "null"), PlaceholderID},
		{"NULL", id("user_key", "NULL"), PlaceholderID},
		{"undefined", id("event_id", "undefined"), PlaceholderID},
		{"guest", id("user_key", "Guest"), PlaceholderID},
		{"zeros", id("visitor_id", "0000000000"), PlaceholderID},
		{"zero UUID", id("visitor_id", "00000000-0000-0000-0000-000000000000"), PlaceholderID},
		{"blank", id("user_key", "  "), PlaceholderID},
		{"object", id("user_key", "[object Object]"), PlaceholderID},
		{"order placeholder", purchase(func(c *aftertouchv1.Conversion) { c.OrderId = "undefined" }), PlaceholderID},
		{"e-mail as visitor", id("visitor_id", "jo@example.com"), EmailInID},
		{"e-mail as event id", id("event_id", "order-jo@example.com-1"), EmailInID},
		{"e-mail as user", id("user_key", "Jo.Doe+x@mail.example.co.uk"), EmailInID},
		{"encoded e-mail", id("user_key", "jo%40example.com"), EmailInID},
		{"e-mail as order", purchase(func(c *aftertouchv1.Conversion) { c.OrderId = "jo@example.com" }), EmailInID},
		{"e-mail as scope", purchase(func(c *aftertouchv1.Conversion) { c.OrderScope = "jo@example.com" }), EmailInID},
		{"e-mail as code", purchase(func(c *aftertouchv1.Conversion) { c.PromoCodes = []string{"jo@example.com"} }), EmailInID},
		{"phone", id("user_key", "+491701234567"), PhoneInUserKey},
		{"phone with separators", id("user_key", "+49 (170) 123-45.67"), PhoneInUserKey},
		{"phone with 00", id("user_key", "00491701234567"), PhoneInUserKey},
		{"shortest phone", id("user_key", "+12345678"), PhoneInUserKey},
		{"negative", purchase(func(c *aftertouchv1.Conversion) { c.ValueMinor = -1 }), NegativeValue},
		{"negative item", purchase(func(c *aftertouchv1.Conversion) { c.Items = []*aftertouchv1.Item{{ValueMinor: -1}} }), NegativeValue},
		{"more than can be added up", purchase(func(c *aftertouchv1.Conversion) { c.ValueMinor = MaxValueMinor + 1 }), Malformed},
		{"item of more than can be added up", purchase(func(c *aftertouchv1.Conversion) {
			c.Items = []*aftertouchv1.Item{{ValueMinor: MaxValueMinor + 1}}
		}), Malformed},
		{"no currency", purchase(func(c *aftertouchv1.Conversion) { c.Currency = "" }), MissingCurrency},
		{"unknown currency", purchase(func(c *aftertouchv1.Conversion) { c.Currency = "ABC" }), UnknownCurrency},
		{"currency of four", purchase(func(c *aftertouchv1.Conversion) { c.Currency = "EURO" }), UnknownCurrency},
		{"no action", purchase(func(c *aftertouchv1.Conversion) { c.Action = "" }), Malformed},
		{"action in capitals", purchase(func(c *aftertouchv1.Conversion) { c.Action = "Purchase" }), Malformed},
		{"unknown evidence", purchase(func(c *aftertouchv1.Conversion) { c.Evidence = 5 }), Malformed},
		{"too many codes", purchase(func(c *aftertouchv1.Conversion) { c.PromoCodes = make([]string, maxPromoCodes+1) }), Malformed},
		{"long code", purchase(func(c *aftertouchv1.Conversion) { c.PromoCodes = []string{strings.Repeat("A", 65)} }), Malformed},
		{"too many items", purchase(func(c *aftertouchv1.Conversion) { c.Items = make([]*aftertouchv1.Item, maxItems+1) }), Malformed},
		{"too many properties", visit(func(e *aftertouchv1.Event) { e.Properties = manyProperties }), Malformed},
		{"long property", visit(func(e *aftertouchv1.Event) { e.Properties = map[string]string{"a": strings.Repeat("x", 257)} }), Malformed},
		{"property without key", visit(func(e *aftertouchv1.Event) { e.Properties = map[string]string{"": "x"} }), Malformed},
		{"property not UTF-8", visit(func(e *aftertouchv1.Event) { e.Properties = map[string]string{"a": "\xff"} }), Malformed},
		{"address not UTF-8", visit(func(e *aftertouchv1.Event) { e.PageUrl = "https://a/\xff" }), Malformed},
	} {
		_, refusal := Normalize(c.event)
		if refusal == nil || refusal.Reason != c.want {
			t.Errorf("%s: got %v, want %s", c.name, refusal, c.want)
			continue
		}
		if refusal.Detail == "" {
			t.Errorf("%s: no detail says what to do", c.name)
		}
		if strings.Contains(refusal.Error(), "example.com") || strings.Contains(refusal.Error(), "170") {
			t.Errorf("%s: the refusal repeats what was sent: %s", c.name, refusal.Detail)
		}
	}
}

func TestNormalizeTakesOrdinaryIDs(t *testing.T) {
	for _, id := range []string{
		"", "a", "1", "42", "007", "1001", "none-of-these", "nullable", "guesthouse", "A 1001", "#1001/2", "null1", "0-0", "0.5", "-", "00-1", "v@home", "a@b", "@handle@",
		"5f0c7b60-1111-4000-8000-000000000000", strings.Repeat("x", 128), "+1234567", "+1234567890123456", "0012345", "00x491701234567", "{curly}",
	} {
		e := visit(func(e *aftertouchv1.Event) { e.EventId, e.VisitorId, e.UserKey = id, id, id })
		if _, refusal := Normalize(e); refusal != nil {
			t.Errorf("%q: %v", id, refusal)
		}
	}
	// A national number cannot be told from a customer number.
	if _, refusal := Normalize(visit(func(e *aftertouchv1.Event) { e.UserKey = "01701234567" })); refusal != nil {
		t.Error(refusal)
	}
}

func TestNormalizeBringsConversionsIntoStoredForm(t *testing.T) {
	e := purchase(func(c *aftertouchv1.Conversion) {
		c.Currency = "eur"
		c.PromoCodes = []string{" anna10 ", "", "ANNA10", "über10", "BEN5"}
	})
	if _, refusal := Normalize(e); refusal != nil {
		t.Fatal(refusal)
	}
	if got := e.GetConversion().Currency; got != "EUR" {
		t.Errorf("currency %q", got)
	}
	if diff := cmp.Diff([]string{"ANNA10", "ÜBER10", "BEN5"}, e.GetConversion().PromoCodes); diff != "" {
		t.Error(diff)
	}
	if _, refusal := Normalize(purchase(func(c *aftertouchv1.Conversion) { c.ValueMinor = MaxValueMinor })); refusal != nil {
		t.Errorf("the largest value: %v", refusal)
	}
	free := purchase(func(c *aftertouchv1.Conversion) { c.ValueMinor, c.Currency = 0, "" })
	if _, refusal := Normalize(free); refusal != nil {
		t.Errorf("a conversion without a value needs no currency: %v", refusal)
	}
}

func TestEmailAddressesInFreeTextAreNotStored(t *testing.T) {
	e := visit(func(e *aftertouchv1.Event) {
		e.PageUrl = "https://shop.example/u/jo@example.com/cart?utm_source=ig&utm_term=jo%40example.com"
		e.Referrer = "https://shop.example/?email=jo@example.com"
		e.Properties = map[string]string{"mail": "x jo@example.com y", "plan": "pro"}
	})
	scrubbed, refusal := Normalize(e)
	if refusal != nil {
		t.Fatal(refusal)
	}
	if scrubbed != 3 {
		t.Errorf("scrubbed %d places, want 3", scrubbed)
	}
	if strings.Contains(e.String(), "example.com") {
		t.Errorf("stored: %v", e)
	}
	if e.PageUrl != "https://shop.example/u/-/cart?utm_source=ig" || e.Properties["plan"] != "pro" {
		t.Errorf("the rest was not kept: %v", e)
	}
}

func TestCutURL(t *testing.T) {
	for raw, want := range map[string]string{
		"":                         "",
		"https://shop.example/a/b": "https://shop.example/a/b",
		"https://shop.example/a?token=1&utm_source=ig&x=2&utm_medium=p#f": "https://shop.example/a?utm_source=ig&utm_medium=p",
		"https://shop.example/a?q=1":                                      "https://shop.example/a",
		"https://shop.example/#access_token=1?utm_source=x":               "https://shop.example/",
		"https://jo:secret@shop.example/a":                                "https://shop.example/a",
		"https://medium.example/@anna/post":                               "https://medium.example/@anna/post",
		"android-app://com.example/x?y=1":                                 "android-app://com.example/x",
		"https://shop.example/?at_click=AQabc":                            "https://shop.example/",
		"https://a/" + strings.Repeat("ü", 2000):                          "https://a/" + strings.Repeat("ü", 1019),
	} {
		if got, _ := CutURL(raw); got != want {
			t.Errorf("%.60s: got %.80s, want %.80s", raw, got, want)
		}
	}
}

func FuzzCutURL(f *testing.F) {
	f.Add("https://jo:secret@shop.example/a?utm_source=x&email=jo@example.com#f")
	f.Fuzz(func(t *testing.T, raw string) {
		cut, _ := CutURL(raw)
		if len(cut) > maxURL {
			t.Fatalf("%d bytes", len(cut))
		}
		if again, _ := CutURL(cut); again != cut {
			t.Fatalf("cutting twice: %q became %q", cut, again)
		}
		if strings.Contains(cut, "#") {
			t.Fatalf("fragment kept: %q", cut)
		}
	})
}

// The code list is compared with the one that x/text derives from CLDR.
func TestCurrencies(t *testing.T) {
	for _, code := range []string{"EUR", "USD", "JPY", "GBP", "CHF", "PLN", "XOF", "KWD", "XCG"} {
		if !IsCurrency(code) {
			t.Errorf("%s is not known", code)
		}
	}
	for _, code := range []string{"", "EU", "eur", "EURO", "XXX", "XTS", "XAU", "AAA", "E1R", "ÄÖ"} {
		if IsCurrency(code) {
			t.Errorf("%q is known", code)
		}
	}
	if n := len(strings.Fields(currencies)); n < 150 || n > 190 {
		t.Errorf("%d currencies", n)
	}
}
