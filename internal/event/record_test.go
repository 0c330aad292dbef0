package event

import (
	"errors"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func sampleEvent() *aftertouchv1.Event {
	return &aftertouchv1.Event{
		EventId: "0198c0de-7000-7000-8000-000000000001", VisitorId: "visitor-00000001", Placement: "placement-1",
		EventTime: Time(1772323200000), Properties: map[string]string{"a": "1", "b": "2", "c": "3"},
		Kind: &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{Viewability: aftertouchv1.Impression_viewable}},
		Stamps: &aftertouchv1.Stamps{
			ReceivedTime: Time(1772323200123), Source: aftertouchv1.Stamps_browser, Country: "DE", RegistryOffset: 42,
			Terms: &aftertouchv1.Terms{AgreementId: "standard", AgreementVersion: 1, CampaignId: "spring", CreatorId: "ann"},
		},
	}
}

func TestARecordIsDecodedAsItWasEncoded(t *testing.T) {
	e := sampleEvent()
	value, err := EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	if e.Stamps.RegistryOffset != 42 {
		t.Error("encoding changed the event")
	}
	var r Record
	to := VisitorAddress("shop", "visitor-00000001")
	if err := Decode([]byte(to.Key()), value, &r); err != nil {
		t.Fatal(err)
	}
	e.Stamps.RegistryOffset = 0
	if r.To != to || r.RegistryOffset != 42 || !proto.Equal(r.Event, e) || r.Message != nil || r.Refusals != nil {
		t.Errorf("decoded %+v", r)
	}
}

func TestAReplayedEventHasThePayloadOfTheFirst(t *testing.T) {
	var hashes [20]uint64
	for i := range hashes {
		e := sampleEvent()
		e.Stamps.RegistryOffset = int64(i) << 20
		value, err := EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		var r Record
		if err := Decode([]byte("shop/v:visitor-00000001"), value, &r); err != nil {
			t.Fatal(err)
		}
		if hashes[i] = r.PayloadHash; hashes[i] != hashes[0] {
			t.Fatal("the registry's offset or the order of properties is part of the payload")
		}
	}
}

func TestMessagesAndRefusalsAreDecoded(t *testing.T) {
	m := &aftertouchv1.Message{Id: "v:a/1-0-5/0", Sender: "v:a", Position: &aftertouchv1.Position{Epoch: 1, Offset: 5}}
	value, err := EncodeMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	var r Record
	if err := Decode([]byte("shop/u:b"), value, &r); err != nil || !proto.Equal(r.Message, m) || r.Event != nil {
		t.Errorf("decoded %v, %v", r.Message, err)
	}
	refusals := &aftertouchv1.Refusals{RunId: "run", Hour: 7}
	if value, err = EncodeRefusals(refusals); err != nil {
		t.Fatal(err)
	}
	if err := Decode([]byte("shop/v:~r/run"), value, &r); err != nil || !proto.Equal(r.Refusals, refusals) || r.Message != nil {
		t.Errorf("decoded %v, %v", r.Refusals, err)
	}
}

func TestWhatIsNoRecordIsUndecodable(t *testing.T) {
	good, err := EncodeEvent(sampleEvent())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key   string
		value []byte
	}{
		"key without a workspace": {"v:a", good},
		"key of unknown kind":     {"shop/x:a", good},
		"key without an id":       {"shop/v:", good},
		"empty value":             {"shop/v:a", nil},
		"cut value":               {"shop/v:a", good[:len(good)-1]},
		"no body":                 {"shop/v:a", []byte{0x08, 0x01}},
		"event that is none":      {"shop/v:a", protowire.AppendBytes([]byte{0x12}, []byte{0x0a, 0xff})},
	} {
		var r Record
		if err := Decode([]byte(c.key), c.value, &r); !errors.Is(err, ErrUndecodable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAddressesAreDistinctAndReversible(t *testing.T) {
	seen := map[string]string{}
	for name, a := range map[string]Address{
		"visitor":        VisitorAddress("shop", "a/b c"),
		"user":           UserAddress("shop", "a/b c"),
		"order":          OrderAddress("shop", "purchase", "de", "1"),
		"scope in id":    OrderAddress("shop", "purchase", "", "de/1"),
		"id in scope":    OrderAddress("shop", "purchase", "de/1", ""),
		"event order":    EventOrderAddress("shop", "e1"),
		"event visitor":  EventVisitorAddress("shop", "e1"),
		"click":          ClickAddress("shop", "e1"),
		"refusals":       RefusalAddress("shop", "e1"),
		"other tenant's": VisitorAddress("shop2", "a/b c"),
	} {
		key := a.Key()
		if other, ok := seen[key]; ok {
			t.Errorf("%s and %s have one key %s", name, other, key)
		}
		seen[key] = name
		back, err := ParseKey(key)
		if err != nil || back != a {
			t.Errorf("%s: %s is parsed as %+v, %v", name, key, back, err)
		}
		if string(a.AppendKey(nil)) != key {
			t.Errorf("%s: AppendKey differs from Key", name)
		}
	}
}

func TestRanksOrderByTimeThenReceiptThenID(t *testing.T) {
	ordered := []Rank{{1, 5, "z"}, {2, 1, "z"}, {2, 2, "a"}, {2, 2, "b"}}
	for i := range ordered {
		for j := range ordered {
			if got := ordered[i].Compare(ordered[j]); got != sign(i-j) {
				t.Errorf("%v against %v: %d", ordered[i], ordered[j], got)
			}
		}
	}
}

func sign(n int) int { return min(max(n, -1), 1) }

func BenchmarkDecode(b *testing.B) {
	e := sampleEvent()
	e.Properties = nil
	value, err := EncodeEvent(e)
	if err != nil {
		b.Fatal(err)
	}
	key := []byte("shop/v:visitor-00000001")
	var r Record
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if err := Decode(key, value, &r); err != nil {
			b.Fatal(err)
		}
	}
}
