package registry

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

func TestEachKindIsCreatedChangedReadAndListed(t *testing.T) {
	f := newFixture(t).withAgreement()
	ctx, c := f.admin(), f.client

	creator := must[*aftertouchv1.Creator](t)(c.ChangeCreator(ctx, &aftertouchv1.Creator{CreatorId: "mia", ReplacesVersion: 1, Name: "Mia B", Kind: aftertouchv1.Creator_publisher}))
	same(t, creator, must[*aftertouchv1.Creator](t)(c.GetCreator(ctx, &aftertouchv1.GetRequest{Id: "mia"})))
	before := must[*aftertouchv1.Creator](t)(c.GetCreator(ctx, &aftertouchv1.GetRequest{Id: "mia", Version: 1}))
	same(t, &aftertouchv1.Creator{CreatorId: "mia", Version: 1, Name: "Mia", Kind: aftertouchv1.Creator_creator}, before)

	campaign := must[*aftertouchv1.Campaign](t)(c.GetCampaign(ctx, &aftertouchv1.GetRequest{Id: "spring"}))
	same(t, &aftertouchv1.Campaign{CampaignId: "spring", Version: 1, Start: day(0), End: day(30), Currency: "EUR", TimeZone: "UTC"}, campaign)

	placement := must[*aftertouchv1.Placement](t)(c.CreatePlacement(ctx, &aftertouchv1.Placement{PlacementId: "p", AgreementId: "a", Kind: aftertouchv1.Placement_story, Name: "first story"}))
	same(t, placement, must[*aftertouchv1.Placement](t)(c.GetPlacement(ctx, &aftertouchv1.GetRequest{Id: "p"})))
	renamed := must[*aftertouchv1.Placement](t)(c.ChangePlacement(ctx, &aftertouchv1.Placement{PlacementId: "p", ReplacesVersion: 1, Kind: aftertouchv1.Placement_story, Name: "second"}))
	if renamed.AgreementId != "a" || renamed.Version != 2 {
		t.Errorf("changed placement is %v", renamed)
	}

	link := must[*aftertouchv1.Link](t)(c.CreateLink(ctx, &aftertouchv1.Link{AgreementId: "a", PlacementId: "p", TargetUrl: "https://shop.example/landing?x=1"}))
	if len(link.LinkId) != 12 {
		t.Errorf("made link id %q", link.LinkId)
	}
	revoked := must[*aftertouchv1.Link](t)(c.ChangeLink(ctx, &aftertouchv1.Link{LinkId: link.LinkId, ReplacesVersion: 1, Revoked: true}))
	same(t, &aftertouchv1.Link{LinkId: link.LinkId, Version: 2, ReplacesVersion: 1, AgreementId: "a", PlacementId: "p", TargetUrl: link.TargetUrl, Revoked: true}, revoked)

	code := must[*aftertouchv1.Code](t)(c.CreateCode(ctx, &aftertouchv1.Code{Code: " mia10% ", AgreementId: "a"}))
	if code.Code != "MIA10%" {
		t.Errorf("code is %q", code.Code)
	}
	same(t, code, must[*aftertouchv1.Code](t)(c.GetCode(ctx, &aftertouchv1.GetRequest{Id: "Mia10%"})))
	if got, ok := f.view.Code(f.keys.Workspace, "mia10% "); !ok || got.AgreementId != "a" {
		t.Errorf("view has code %v", got)
	}

	lists := map[string]int{
		"creators":   len(must[*aftertouchv1.ListCreatorsResponse](t)(c.ListCreators(ctx, &aftertouchv1.ListRequest{})).Creators),
		"campaigns":  len(must[*aftertouchv1.ListCampaignsResponse](t)(c.ListCampaigns(ctx, &aftertouchv1.ListRequest{})).Campaigns),
		"agreements": len(must[*aftertouchv1.ListAgreementsResponse](t)(c.ListAgreements(ctx, &aftertouchv1.ListRequest{})).Agreements),
		"links":      len(must[*aftertouchv1.ListLinksResponse](t)(c.ListLinks(ctx, &aftertouchv1.ListRequest{})).Links),
		"codes":      len(must[*aftertouchv1.ListCodesResponse](t)(c.ListCodes(ctx, &aftertouchv1.ListRequest{})).Codes),
		"placements": len(must[*aftertouchv1.ListPlacementsResponse](t)(c.ListPlacements(ctx, &aftertouchv1.ListRequest{})).Placements),
		"workspaces": len(must[*aftertouchv1.ListWorkspacesResponse](t)(c.ListWorkspaces(ctx, &aftertouchv1.ListRequest{})).Workspaces),
		"keys":       len(must[*aftertouchv1.ListKeysResponse](t)(c.ListKeys(ctx, &aftertouchv1.ListRequest{})).Keys) - 1,
	}
	for kind, n := range lists {
		if n != 1 {
			t.Errorf("%d %s listed, want 1", n, kind)
		}
	}
}

func same(t *testing.T, want, got proto.Message) {
	t.Helper()
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

func TestListsPageInTheOrderOfIDs(t *testing.T) {
	f := newFixture(t)
	for _, id := range []string{"d", "a", "e", "c", "b"} {
		must[*aftertouchv1.Creator](t)(f.client.CreateCreator(f.admin(), &aftertouchv1.Creator{CreatorId: id}))
	}
	var got []string
	req := &aftertouchv1.ListRequest{PageSize: 2}
	for pages := 1; ; pages++ {
		res := must[*aftertouchv1.ListCreatorsResponse](t)(f.client.ListCreators(f.admin(), req))
		for _, c := range res.Creators {
			got = append(got, c.CreatorId)
		}
		if req.PageToken = res.NextPageToken; req.PageToken == "" {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
	}
	if strings.Join(got, "") != "abcde" {
		t.Errorf("listed %v", got)
	}
}

func TestConcurrentChangesOfOneVersion(t *testing.T) {
	f := newFixture(t)
	_, other := f.process()
	must[*aftertouchv1.Creator](t)(f.client.CreateCreator(f.admin(), &aftertouchv1.Creator{CreatorId: "mia"}))
	if err := waitForCreator(f, other); err != nil {
		t.Fatal(err)
	}
	clients := []aftertouchv1.RegistryServiceClient{f.client, other}
	for version := uint32(1); version <= 5; version++ {
		var errs [2]error
		var wg sync.WaitGroup
		for i, c := range clients {
			wg.Go(func() {
				_, errs[i] = c.ChangeCreator(f.admin(), &aftertouchv1.Creator{CreatorId: "mia", ReplacesVersion: version, Name: fmt.Sprint("writer ", i)})
			})
		}
		wg.Wait()
		lost := 0
		if errs[0] == nil {
			lost = 1
		}
		if errs[1-lost] != nil || status.Code(errs[lost]) != codes.Aborted {
			t.Fatalf("version %d: %v and %v, want one to win and one ABORTED", version, errs[0], errs[1])
		}
		if meta := wantReason(t, errs[lost], "version_conflict"); meta["present_version"] != fmt.Sprint(version+1) {
			t.Errorf("conflict names present version %s, want %d", meta["present_version"], version+1)
		}
	}
}

// waitForCreator waits until another process sees what the first one wrote.
func waitForCreator(f *fixture, c aftertouchv1.RegistryServiceClient) (err error) {
	for range 200 {
		if _, err = c.GetCreator(f.admin(), &aftertouchv1.GetRequest{Id: "mia"}); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

func TestAgreementVersionsFollowTheirDates(t *testing.T) {
	f := newFixture(t).withAgreement()
	ctx, c := f.admin(), f.client
	v1 := must[*aftertouchv1.Agreement](t)(c.GetAgreement(ctx, &aftertouchv1.GetRequest{Id: "a"}))
	if !v1.EffectiveFrom.AsTime().Equal(day0) {
		t.Errorf("version 1 starts %s, want the campaign's start", v1.EffectiveFrom.AsTime())
	}
	_, err := c.ChangeAgreement(ctx, &aftertouchv1.Agreement{AgreementId: "a", ReplacesVersion: 1, EffectiveFrom: timestamppb.New(time.Now().Add(-time.Minute))})
	if meta := wantReason(t, err, "invalid_argument"); meta["field"] != "effective_from" {
		t.Errorf("field is %q", meta["field"])
	}
	start := time.Now().Truncate(time.Millisecond)
	v2 := must[*aftertouchv1.Agreement](t)(c.ChangeAgreement(ctx, &aftertouchv1.Agreement{AgreementId: "a", ReplacesVersion: 1, ViewThrough: true}))
	if v2.CampaignId != "spring" || v2.CreatorId != "mia" || v2.EffectiveFrom.AsTime().Before(start) || time.Since(v2.EffectiveFrom.AsTime()) > time.Minute {
		t.Errorf("version 2 is %v", v2)
	}
	later := timestamppb.New(time.Now().Add(time.Hour).Truncate(time.Millisecond))
	v3 := must[*aftertouchv1.Agreement](t)(c.ChangeAgreement(ctx, &aftertouchv1.Agreement{AgreementId: "a", ReplacesVersion: 2, EffectiveFrom: later}))
	same(t, later, v3.EffectiveFrom)
	_, err = c.ChangeAgreement(ctx, &aftertouchv1.Agreement{AgreementId: "a", ReplacesVersion: 3, CampaignId: "another"})
	wantReason(t, err, "invalid_argument")
	past := must[*aftertouchv1.Agreement](t)(c.CreateAgreement(ctx, &aftertouchv1.Agreement{AgreementId: "b", CampaignId: "spring", CreatorId: "mia", EffectiveFrom: day(-30)}))
	same(t, day(-30), past.EffectiveFrom)
}

func TestCampaignIsFixedOnceItHasAnAgreement(t *testing.T) {
	f := newFixture(t).withAgreement()
	same := &aftertouchv1.Campaign{CampaignId: "spring", ReplacesVersion: 1, Name: "Renamed", Start: day(0), End: day(30), Currency: "EUR"}
	must[*aftertouchv1.Campaign](t)(f.client.ChangeCampaign(f.admin(), same))
	for name, change := range map[string]func(c *aftertouchv1.Campaign){
		"start":     func(c *aftertouchv1.Campaign) { c.Start = day(1) },
		"end":       func(c *aftertouchv1.Campaign) { c.End = nil },
		"currency":  func(c *aftertouchv1.Campaign) { c.Currency = "USD" },
		"time zone": func(c *aftertouchv1.Campaign) { c.TimeZone = "Europe/Berlin" },
		"half-life": func(c *aftertouchv1.Campaign) { c.HalfLife = durationpb.New(48 * time.Hour) },
		"counting": func(c *aftertouchv1.Campaign) {
			c.Counting = map[string]aftertouchv1.Campaign_Counting{"purchase": aftertouchv1.Campaign_first}
		},
	} {
		changed := same.CloneVT()
		changed.ReplacesVersion = 2
		change(changed)
		_, err := f.client.ChangeCampaign(f.admin(), changed)
		if status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s: %v", name, err)
		}
		wantReason(t, err, "campaign_fixed")
	}
}

func TestKeysAreShownOnceAndHashed(t *testing.T) {
	f := newFixture(t)
	ctx, c := f.admin(), f.client
	made := must[*aftertouchv1.Key](t)(c.CreateKey(ctx, &aftertouchv1.Key{KeyId: "shop", Kind: aftertouchv1.Key_web, Origins: []string{"https://shop.example", "https://*.shop.example"}}))
	if !strings.HasPrefix(made.Key, "atw_") || len(made.Scopes) != 1 || made.Scopes[0] != "collect" {
		t.Errorf("made %v", made)
	}
	for _, k := range must[*aftertouchv1.ListKeysResponse](t)(c.ListKeys(ctx, &aftertouchv1.ListRequest{})).Keys {
		if k.Key != "" {
			t.Errorf("key %s shows itself again", k.KeyId)
		}
	}
	k, reason := f.view.Authenticate(made.Key)
	if reason != "" || k.KeyId != "shop" || k.CheckOrigin("https://www.shop.example") != "" || k.CheckOrigin("https://evil.example") == "" {
		t.Errorf("authenticated %v: %q", k, reason)
	}
	must[*aftertouchv1.Key](t)(c.ChangeKey(ctx, &aftertouchv1.Key{KeyId: "shop", ReplacesVersion: 1, Origins: []string{"*"}}))
	if k, _ := f.view.Authenticate(made.Key); k.CheckOrigin("https://any.example") != "" {
		t.Error("new origins are not in force")
	}
	revoked := must[*aftertouchv1.Key](t)(c.ChangeKey(ctx, &aftertouchv1.Key{KeyId: "shop", ReplacesVersion: 2, Revoked: true}))
	if len(revoked.Origins) != 1 || !revoked.Revoked {
		t.Errorf("revoked key is %v", revoked)
	}
	if _, reason := f.view.Authenticate(made.Key); reason != "revoked_key" {
		t.Errorf("revoked key: %q", reason)
	}
	_, err := c.ChangeKey(ctx, &aftertouchv1.Key{KeyId: "shop", ReplacesVersion: 3, Origins: []string{"*"}})
	wantReason(t, err, "invalid_argument")
}

func TestScopesAndWorkspacesSeparate(t *testing.T) {
	f := newFixture(t).withAgreement()
	ctx, c := f.admin(), f.client
	key := func(scopes ...string) string {
		return must[*aftertouchv1.Key](t)(c.CreateKey(ctx, &aftertouchv1.Key{Kind: aftertouchv1.Key_secret, Scopes: scopes})).Key
	}
	reader, writer := key("read"), key("write")
	two := must[*aftertouchv1.Workspace](t)(c.CreateWorkspace(ctx, &aftertouchv1.Workspace{WorkspaceId: "two", Name: "Two", TimeZone: "Europe/Berlin"}))
	if w, ok := f.view.Workspace("two"); !ok || len(w.TokenKey) != 32 || len(w.HMACKey) != 32 || len(w.IdentityKey) != 32 {
		t.Errorf("workspace has keys of %d, %d, %d bytes", len(w.TokenKey), len(w.HMACKey), len(w.IdentityKey))
	}
	for _, tc := range []struct {
		name, key, reason string
		call              func(key string) error
	}{
		{"no key", "", "unknown_key", func(k string) error { _, err := c.ListCreators(f.as(k), &aftertouchv1.ListRequest{}); return err }},
		{"unknown key", "ats_nothing", "unknown_key", func(k string) error { _, err := c.ListCreators(f.as(k), &aftertouchv1.ListRequest{}); return err }},
		{"web key reads", f.keys.WebKey, "wrong_scope", func(k string) error { _, err := c.ListCreators(f.as(k), &aftertouchv1.ListRequest{}); return err }},
		{"reader writes", reader, "wrong_scope", func(k string) error { _, err := c.CreateCreator(f.as(k), &aftertouchv1.Creator{}); return err }},
		{"writer reads", writer, "wrong_scope", func(k string) error { _, err := c.ListCreators(f.as(k), &aftertouchv1.ListRequest{}); return err }},
		{"writer makes an admin", writer, "wrong_scope", func(k string) error {
			_, err := c.CreateKey(f.as(k), &aftertouchv1.Key{Kind: aftertouchv1.Key_secret, Scopes: []string{"admin"}})
			return err
		}},
		{"writer revokes the admin", writer, "wrong_scope", func(k string) error {
			_, err := c.ChangeKey(f.as(k), &aftertouchv1.Key{KeyId: "admin", ReplacesVersion: 1, Revoked: true})
			return err
		}},
		{"writer makes a workspace", writer, "wrong_scope", func(k string) error { _, err := c.CreateWorkspace(f.as(k), &aftertouchv1.Workspace{}); return err }},
		{"another workspace's admin makes one", two.AdminKey, "wrong_scope", func(k string) error { _, err := c.CreateWorkspace(f.as(k), &aftertouchv1.Workspace{}); return err }},
		{"another workspace's admin reads a creator", two.AdminKey, "not_found", func(k string) error {
			_, err := c.GetCreator(f.as(k), &aftertouchv1.GetRequest{Id: "mia"})
			return err
		}},
		{"another workspace's admin reads the first", two.AdminKey, "not_found", func(k string) error {
			_, err := c.GetWorkspace(f.as(k), &aftertouchv1.GetRequest{Id: registry.DefaultWorkspace})
			return err
		}},
		{"another workspace's admin links to its agreement", two.AdminKey, "invalid_argument", func(k string) error {
			_, err := c.CreateLink(f.as(k), &aftertouchv1.Link{AgreementId: "a", TargetUrl: "https://a.example"})
			return err
		}},
	} {
		t.Run(tc.name, func(t *testing.T) { wantReason(t, tc.call(tc.key), tc.reason) })
	}
	if got := must[*aftertouchv1.ListWorkspacesResponse](t)(c.ListWorkspaces(f.as(two.AdminKey), &aftertouchv1.ListRequest{})); len(got.Workspaces) != 1 || got.Workspaces[0].WorkspaceId != "two" {
		t.Errorf("the second workspace's admin sees %v", got.Workspaces)
	}
	if got := must[*aftertouchv1.ListWorkspacesResponse](t)(c.ListWorkspaces(ctx, &aftertouchv1.ListRequest{})); len(got.Workspaces) != 2 || got.Workspaces[1].AdminKey != "" {
		t.Errorf("the first workspace's admin sees %v", got.Workspaces)
	}
}

func TestLinkIDOfAnotherWorkspaceIsTaken(t *testing.T) {
	f := newFixture(t).withAgreement()
	c := f.client
	must[*aftertouchv1.Link](t)(c.CreateLink(f.admin(), &aftertouchv1.Link{LinkId: "x", AgreementId: "a", TargetUrl: "https://a.example"}))
	two := f.as(must[*aftertouchv1.Workspace](t)(c.CreateWorkspace(f.admin(), &aftertouchv1.Workspace{WorkspaceId: "two"})).AdminKey)
	must[*aftertouchv1.Creator](t)(c.CreateCreator(two, &aftertouchv1.Creator{CreatorId: "mia"}))
	must[*aftertouchv1.Campaign](t)(c.CreateCampaign(two, &aftertouchv1.Campaign{CampaignId: "spring", Start: day(0), Currency: "EUR"}))
	must[*aftertouchv1.Agreement](t)(c.CreateAgreement(two, &aftertouchv1.Agreement{AgreementId: "a", CampaignId: "spring", CreatorId: "mia"}))
	_, err := c.CreateLink(two, &aftertouchv1.Link{LinkId: "x", AgreementId: "a", TargetUrl: "https://b.example"})
	wantReason(t, err, "already_exists")
	_, err = c.GetLink(two, &aftertouchv1.GetRequest{Id: "x"})
	wantReason(t, err, "not_found")
	_, err = c.ChangeLink(two, &aftertouchv1.Link{LinkId: "x", ReplacesVersion: 1, TargetUrl: "https://b.example"})
	wantReason(t, err, "not_found")
}
