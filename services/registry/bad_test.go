package registry

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

// create sends an object to the call that creates it.
func (f *fixture) create(o proto.Message) error {
	ctx, c := f.admin(), f.client
	var err error
	switch o := o.(type) {
	case *aftertouchv1.Workspace:
		_, err = c.CreateWorkspace(ctx, o)
	case *aftertouchv1.Key:
		_, err = c.CreateKey(ctx, o)
	case *aftertouchv1.Creator:
		_, err = c.CreateCreator(ctx, o)
	case *aftertouchv1.Campaign:
		_, err = c.CreateCampaign(ctx, o)
	case *aftertouchv1.Agreement:
		_, err = c.CreateAgreement(ctx, o)
	case *aftertouchv1.Link:
		_, err = c.CreateLink(ctx, o)
	case *aftertouchv1.Code:
		_, err = c.CreateCode(ctx, o)
	case *aftertouchv1.Placement:
		_, err = c.CreatePlacement(ctx, o)
	}
	return err
}

func campaign(change func(c *aftertouchv1.Campaign)) *aftertouchv1.Campaign {
	c := &aftertouchv1.Campaign{Start: day(0), End: day(1), Currency: "EUR"}
	change(c)
	return c
}

func agreement(change func(a *aftertouchv1.Agreement)) *aftertouchv1.Agreement {
	a := &aftertouchv1.Agreement{CampaignId: "spring", CreatorId: "mia"}
	change(a)
	return a
}

func window(d time.Duration) *aftertouchv1.Agreement {
	return agreement(func(a *aftertouchv1.Agreement) {
		a.Windows = &aftertouchv1.Windows{Engagement: durationpb.New(d)}
	})
}

func link(target string) *aftertouchv1.Link {
	return &aftertouchv1.Link{AgreementId: "a", TargetUrl: target}
}

func webKey(origins ...string) *aftertouchv1.Key {
	return &aftertouchv1.Key{Kind: aftertouchv1.Key_web, Origins: origins}
}

func TestBadFieldsAreNamed(t *testing.T) {
	f := newFixture(t).withAgreement()
	long := strings.Repeat("x", 201)
	for _, tc := range []struct {
		name  string
		in    proto.Message
		field string
	}{
		{"id with a slash", &aftertouchv1.Creator{CreatorId: "a/b"}, "creator_id"},
		{"id with a tilde", &aftertouchv1.Creator{CreatorId: "~c"}, "creator_id"},
		{"id of 65", &aftertouchv1.Creator{CreatorId: strings.Repeat("a", 65)}, "creator_id"},
		{"id with a newline", &aftertouchv1.Creator{CreatorId: "a\n"}, "creator_id"},
		{"long name", &aftertouchv1.Creator{Name: long}, "name"},
		{"control character", &aftertouchv1.Creator{Name: "a\x00b"}, "name"},
		{"unknown kind", &aftertouchv1.Creator{Kind: 9}, "kind"},
		{"version to replace", &aftertouchv1.Creator{ReplacesVersion: 1}, "replaces_version"},
		{"workspace id", &aftertouchv1.Workspace{WorkspaceId: "a b"}, "workspace_id"},
		{"time zone", &aftertouchv1.Workspace{TimeZone: "Mars/Olympus"}, "time_zone"},
		{"local time zone", &aftertouchv1.Workspace{TimeZone: "Local"}, "time_zone"},
		{"given admin key", &aftertouchv1.Workspace{AdminKey: "mine"}, "admin_key"},
		{"no start", campaign(func(c *aftertouchv1.Campaign) { c.Start = nil }), "start"},
		{"end before start", campaign(func(c *aftertouchv1.Campaign) { c.End = day(-1) }), "end"},
		{"end at start", campaign(func(c *aftertouchv1.Campaign) { c.End = c.Start }), "end"},
		{"start in 1970", campaign(func(c *aftertouchv1.Campaign) { c.Start = &timestamppb.Timestamp{} }), "start"},
		{"invalid start", campaign(func(c *aftertouchv1.Campaign) { c.Start = &timestamppb.Timestamp{Seconds: 1772323200, Nanos: -1} }), "start"},
		{"no currency", campaign(func(c *aftertouchv1.Campaign) { c.Currency = "" }), "currency"},
		{"unknown currency", campaign(func(c *aftertouchv1.Campaign) { c.Currency = "ABC" }), "currency"},
		{"half-life of a second", campaign(func(c *aftertouchv1.Campaign) { c.HalfLife = durationpb.New(time.Second) }), "half_life"},
		{"action to count", campaign(func(c *aftertouchv1.Campaign) {
			c.Counting = map[string]aftertouchv1.Campaign_Counting{"Buy now": 1}
		}), "counting"},
		{"unknown counting", campaign(func(c *aftertouchv1.Campaign) {
			c.Counting = map[string]aftertouchv1.Campaign_Counting{"buy": 7}
		}), "counting"},
		{"unknown campaign", agreement(func(a *aftertouchv1.Agreement) { a.CampaignId = "summer" }), "campaign_id"},
		{"unknown creator", agreement(func(a *aftertouchv1.Agreement) { a.CreatorId = "leo" }), "creator_id"},
		{"window of 59 min", window(59 * time.Minute), "windows.engagement"},
		{"window of 91 d", window(91 * 24 * time.Hour), "windows.engagement"},
		{"negative window", window(-time.Hour), "windows.engagement"},
		{"unknown relation", agreement(func(a *aftertouchv1.Agreement) { a.Relation = 42 }), "relation"},
		{"negative target", agreement(func(a *aftertouchv1.Agreement) {
			a.Objective = &aftertouchv1.Objective{Action: "purchase", TargetCount: -1}
		}), "objective.target_count"},
		{"objective without action", agreement(func(a *aftertouchv1.Agreement) { a.Objective = &aftertouchv1.Objective{} }), "objective.action"},
		{"share over all", agreement(func(a *aftertouchv1.Agreement) { a.Payout = &aftertouchv1.Payout{SharePpm: 1_000_001} }), "payout.share_ppm"},
		{"negative payout", agreement(func(a *aftertouchv1.Agreement) { a.Payout = &aftertouchv1.Payout{FixedMinor: -1} }), "payout.fixed_minor"},
		{"no target", link(""), "target_url"},
		{"javascript", link("javascript:alert(1)"), "target_url"},
		{"data", link("data:text/html,x"), "target_url"},
		{"relative", link("/landing"), "target_url"},
		{"scheme-relative", link("//evil.example"), "target_url"},
		{"no host", link("https:///x"), "target_url"},
		{"credentials", link("https://user:pass@shop.example"), "target_url"},
		{"newline", link("https://shop.example/\r\nSet-Cookie: x=1"), "target_url"},
		{"backslash", link(`https:\\evil.example`), "target_url"},
		{"long target", link("https://shop.example/" + strings.Repeat("x", 2048)), "target_url"},
		{"unknown agreement", &aftertouchv1.Link{AgreementId: "zzz", TargetUrl: "https://shop.example"}, "agreement_id"},
		{"unknown placement", &aftertouchv1.Link{AgreementId: "a", PlacementId: "zzz", TargetUrl: "https://shop.example"}, "placement_id"},
		{"code of 65", &aftertouchv1.Code{Code: strings.Repeat("a", 65), AgreementId: "a"}, "code"},
		{"code's agreement", &aftertouchv1.Code{Code: "SAVE", AgreementId: "zzz"}, "agreement_id"},
		{"placement's agreement", &aftertouchv1.Placement{}, "agreement_id"},
		{"placement's kind", &aftertouchv1.Placement{AgreementId: "a", Kind: 77}, "kind"},
		{"key without kind", &aftertouchv1.Key{Scopes: []string{"read"}}, "kind"},
		{"secret key without scopes", &aftertouchv1.Key{Kind: aftertouchv1.Key_secret}, "scopes"},
		{"unknown scope", &aftertouchv1.Key{Kind: aftertouchv1.Key_secret, Scopes: []string{"root"}}, "scopes"},
		{"secret key with origins", &aftertouchv1.Key{Kind: aftertouchv1.Key_secret, Scopes: []string{"read"}, Origins: []string{"*"}}, "origins"},
		{"given key", &aftertouchv1.Key{Kind: aftertouchv1.Key_secret, Scopes: []string{"read"}, Key: "mine"}, "key"},
		{"web key that reads", &aftertouchv1.Key{Kind: aftertouchv1.Key_web, Scopes: []string{"read"}, Origins: []string{"*"}}, "scopes"},
		{"web key without origins", webKey(), "origins"},
		{"origin without scheme", webKey("shop.example"), "origins[0]"},
		{"origin with path", webKey("*", "https://shop.example/x"), "origins[1]"},
		{"origin with slash", webKey("https://shop.example/"), "origins[0]"},
		{"origin with inner star", webKey("https://a.*.example"), "origins[0]"},
		{"origin of stars", webKey("https://*"), "origins[0]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := f.create(tc.in)
			if status.Code(err) != codes.InvalidArgument {
				t.Fatalf("got %v, want INVALID_ARGUMENT", err)
			}
			wantReason(t, err, "invalid_argument")
			var fields []string
			for _, d := range status.Convert(err).Details() {
				if bad, ok := d.(*errdetails.BadRequest); ok {
					for _, v := range bad.FieldViolations {
						fields = append(fields, v.Field)
					}
				}
			}
			if len(fields) != 1 || fields[0] != tc.field {
				t.Errorf("fields %v, want %s: %v", fields, tc.field, err)
			}
		})
	}
	if got := must[*aftertouchv1.ListCreatorsResponse](t)(f.client.ListCreators(f.admin(), &aftertouchv1.ListRequest{})); len(got.Creators) != 1 {
		t.Errorf("a refused object was written: %v", got.Creators)
	}
}

func TestMissingAndTakenObjects(t *testing.T) {
	f := newFixture(t).withAgreement()
	ctx, c := f.admin(), f.client
	_, err := c.GetCampaign(ctx, &aftertouchv1.GetRequest{Id: "none"})
	wantReason(t, err, "not_found")
	_, err = c.GetCampaign(ctx, &aftertouchv1.GetRequest{Id: "spring", Version: 2})
	wantReason(t, err, "not_found")
	_, err = c.ChangeCreator(ctx, &aftertouchv1.Creator{CreatorId: "none", ReplacesVersion: 1})
	wantReason(t, err, "not_found")
	_, err = c.CreateCreator(ctx, &aftertouchv1.Creator{CreatorId: "mia"})
	wantReason(t, err, "already_exists")
	_, err = c.ChangeCreator(ctx, &aftertouchv1.Creator{CreatorId: "mia"})
	wantReason(t, err, "invalid_argument")
	_, err = c.ChangeCreator(ctx, &aftertouchv1.Creator{CreatorId: "mia", ReplacesVersion: 7})
	if meta := wantReason(t, err, "version_conflict"); meta["present_version"] != "1" {
		t.Errorf("conflict names %q", meta["present_version"])
	}
	for _, req := range []*aftertouchv1.ListRequest{{PageSize: -1}, {PageSize: 1001}, {PageToken: "%%%"}} {
		_, err = c.ListLinks(ctx, req)
		wantReason(t, err, "invalid_argument")
	}
}
