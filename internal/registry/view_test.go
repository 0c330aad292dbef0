package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/embedded/broker"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestOneOfTwoConcurrentWritersOfAVersionWins(t *testing.T) {
	c := testClient(t)
	stores := []*Store{runStore(t, c), runStore(t, c)} // two processes
	newWorkspace(t, stores[0], "shop")
	must(t, stores[1].view.WaitFor(t.Context(), stores[0].view.Offset()))
	for round := range uint32(10) {
		var errs [2]error
		var wg sync.WaitGroup
		for i, s := range stores {
			wg.Go(func() { errs[i] = s.Write(t.Context(), "shop", creatorRecord(round+1, fmt.Sprint("writer ", i))) })
		}
		wg.Wait()
		winner := 0
		if errs[0] != nil {
			winner = 1
		}
		if errs[winner] != nil || !errors.Is(errs[1-winner], ErrConflict) {
			t.Fatalf("round %d: %v and %v, want one success and one ErrConflict", round, errs[0], errs[1])
		}
		for _, s := range stores {
			got, _ := s.view.Creator("shop", "mia")
			if got.GetVersion() != round+1 || got.GetName() != fmt.Sprint("writer ", winner) {
				t.Fatalf("round %d: view shows %v, want version %d of writer %d", round, got, round+1, winner)
			}
		}
	}
}

func TestLaterRecordsOfAKeyAndGapsAreIgnored(t *testing.T) {
	s := runStore(t, testClient(t))
	newWorkspace(t, s, "shop")
	must(t, s.Write(t.Context(), "shop", creatorRecord(1, "first")))
	if err := s.Write(t.Context(), "shop", creatorRecord(1, "second")); !errors.Is(err, ErrConflict) {
		t.Errorf("second record of a version: %v, want ErrConflict", err)
	}
	if err := s.Write(t.Context(), "shop", creatorRecord(3, "gap")); !errors.Is(err, ErrRefused) {
		t.Errorf("version after a gap: %v, want ErrRefused", err)
	}
	if err := s.Write(t.Context(), "nowhere", creatorRecord(1, "x")); !errors.Is(err, ErrRefused) {
		t.Errorf("unknown workspace: %v, want ErrRefused", err)
	}
	for _, kv := range [][2]string{{"no key", "x"}, {"shop/creator/mia/2", "not protobuf"}, {"shop/creator/other/1", ""}} {
		_, err := s.partition.Append(t.Context(), []byte(kv[0]), []byte(kv[1]))
		must(t, err)
	}
	must(t, s.Write(t.Context(), "shop", creatorRecord(2, "after garbage")))
	if got, _ := s.view.Creator("shop", "mia"); got.GetName() != "after garbage" {
		t.Errorf("view shows %v", got)
	}
}

func TestLinkIDsAreUniqueInTheInstallation(t *testing.T) {
	s := runStore(t, testClient(t))
	newWorkspace(t, s, "a")
	newWorkspace(t, s, "b")
	must(t, s.Write(t.Context(), "a", linkRecord(&aftertouchv1.Link{LinkId: "x", Version: 1, TargetUrl: "https://a.example"})))
	err := s.Write(t.Context(), "b", linkRecord(&aftertouchv1.Link{LinkId: "x", Version: 1, TargetUrl: "https://b.example"}))
	if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrRefused) {
		t.Errorf("link of another workspace: %v", err)
	}
	if l, _ := s.view.Link("x"); l.Workspace != "a" || l.TargetUrl != "https://a.example" {
		t.Errorf("link is %v of %s", l, l.Workspace)
	}
}

func TestCampaignIsFixedOnceItHasAnAgreement(t *testing.T) {
	s := runStore(t, testClient(t))
	newWorkspace(t, s, "shop")
	must(t, s.Write(t.Context(), "shop", campaignRecord(springCampaign())))
	c2 := springCampaign()
	c2.Version, c2.ReplacesVersion, c2.Currency = 2, 1, "USD"
	must(t, s.Write(t.Context(), "shop", campaignRecord(c2)))
	must(t, s.Write(t.Context(), "shop", agreementRecord(&aftertouchv1.Agreement{AgreementId: "a", Version: 1, CampaignId: "spring", CreatorId: "mia"})))
	c3 := c2.CloneVT()
	c3.Version, c3.ReplacesVersion, c3.HalfLife = 3, 2, durationpb.New(time.Hour)
	if err := s.Write(t.Context(), "shop", campaignRecord(c3)); !errors.Is(err, ErrRefused) {
		t.Errorf("changing the half-life: %v, want ErrRefused", err)
	}
	c3 = c2.CloneVT()
	c3.Version, c3.ReplacesVersion, c3.Name = 3, 2, "Renamed"
	must(t, s.Write(t.Context(), "shop", campaignRecord(c3)))
}

func TestTermsAtFollowsEffectiveDatesAndTheCampaign(t *testing.T) {
	s := runStore(t, testClient(t))
	newWorkspace(t, s, "shop")
	must(t, s.Write(t.Context(), "shop", campaignRecord(springCampaign())))
	for _, a := range []*aftertouchv1.Agreement{
		{Version: 1},
		{Version: 2, EffectiveFrom: day(10), Windows: &aftertouchv1.Windows{Click: durationpb.New(48 * time.Hour)}, ViewThrough: true},
		{Version: 3, EffectiveFrom: day(20)},
		{Version: 4, EffectiveFrom: day(15)}, // replaces version 3 before it began
	} {
		a.AgreementId, a.CampaignId, a.CreatorId, a.ReplacesVersion = "a", "spring", "mia", a.Version-1
		must(t, s.Write(t.Context(), "shop", agreementRecord(a)))
	}
	for _, tc := range []struct {
		at      int64
		version uint32
	}{
		{dayMs(0) - 1, 0}, {dayMs(0), 1}, {dayMs(10) - 1, 1}, {dayMs(10), 2}, {dayMs(15), 4}, {dayMs(25), 4}, {dayMs(30) - 1, 4}, {dayMs(30), 0},
	} {
		got, inForce := s.view.TermsAt("shop", "a", tc.at)
		want := &aftertouchv1.Terms{AgreementId: "a", AgreementVersion: tc.version, CampaignId: "spring", CreatorId: "mia"}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || inForce != (tc.version > 0) {
			t.Errorf("at %s: in force %v, terms differ:\n%s", time.UnixMilli(tc.at).UTC(), inForce, diff)
		}
	}
	if got, inForce := s.view.TermsAt("shop", "unknown", dayMs(1)); got != nil || inForce {
		t.Errorf("unknown agreement has terms %v", got)
	}
	const hour = int64(time.Hour / time.Millisecond)
	one, _ := s.view.Agreement("shop", "a", 1)
	if one.ClickWindow != 720*hour || one.VisitWindow != 720*hour || one.EngagementWindow != 168*hour || one.ImpressionWindow != 24*hour || one.HalfLife != 168*hour || one.ViewThrough {
		t.Errorf("defaults are %+v", one)
	}
	if two, ok := s.view.Agreement("shop", "a", 2); !ok || two.ClickWindow != 48*hour || !two.ViewThrough {
		t.Errorf("version 2 is %+v", two)
	}
	for _, v := range []uint32{0, 5} {
		if _, ok := s.view.Agreement("shop", "a", v); ok {
			t.Errorf("version %d exists", v)
		}
	}
}

func TestRevokedKeyIsSeenByAnotherViewWithinTwoSeconds(t *testing.T) {
	c := testClient(t)
	s, other := runStore(t, c), runView(t, c)
	newWorkspace(t, s, "shop")
	key := &aftertouchv1.Key{KeyId: "k", Version: 1, Kind: aftertouchv1.Key_secret, Scopes: []string{"collect", "read"}}
	secret, err := s.CreateKey(t.Context(), "shop", key, "", "test")
	must(t, err)
	must(t, other.WaitFor(t.Context(), s.view.Offset()))
	got, reason := other.Authenticate(secret)
	if reason != "" || got.Workspace != "shop" || got.CheckScope(ScopeRead) != "" || got.CheckScope(ScopeWrite) != event.WrongScope {
		t.Fatalf("authenticated %v with reason %q", got, reason)
	}
	revoked := key.CloneVT()
	revoked.Version, revoked.ReplacesVersion, revoked.Revoked = 2, 1, true
	start := time.Now()
	must(t, s.Write(t.Context(), "shop", &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Key{Key: revoked}}))
	for {
		if k, reason := other.Authenticate(secret); reason == event.RevokedKey {
			if k == nil {
				t.Error("a revoked key is nobody's")
			}
			break
		}
		if time.Since(start) > 2*time.Second {
			t.Fatal("still accepted after 2 s")
		}
		time.Sleep(time.Millisecond)
	}
	t.Logf("seen after %s", time.Since(start))
	if _, reason := other.Authenticate(secret + "x"); reason != event.UnknownKey {
		t.Errorf("unknown key: %q", reason)
	}
}

func TestNewViewRematerialisesEverything(t *testing.T) {
	c := testClient(t)
	s := runStore(t, c)
	keys, err := Bootstrap(t.Context(), s, BootstrapOptions{Partitions: 2})
	must(t, err)
	must(t, s.Write(t.Context(), DefaultWorkspace, campaignRecord(springCampaign())))
	must(t, s.Write(t.Context(), DefaultWorkspace, creatorRecord(1, "Mia")))
	must(t, s.Write(t.Context(), DefaultWorkspace, creatorRecord(2, "Mia B")))
	must(t, s.Write(t.Context(), DefaultWorkspace, linkRecord(&aftertouchv1.Link{LinkId: "l", Version: 1, TargetUrl: "https://a.example"})))
	v := runView(t, c)
	if v.Offset() != s.view.Offset() {
		t.Errorf("offset %d, want %d", v.Offset(), s.view.Offset())
	}
	w, _ := v.Workspace(DefaultWorkspace)
	want, _ := s.view.Workspace(DefaultWorkspace)
	if diff := cmp.Diff(want, w, protocmp.Transform(), cmp.AllowUnexported(Workspace{})); diff != "" {
		t.Errorf("workspace differs:\n%s", diff)
	}
	if got, _ := v.Creator(DefaultWorkspace, "mia"); got.GetName() != "Mia B" {
		t.Errorf("creator is %v", got)
	}
	if k, reason := v.Authenticate(keys.AdminKey); reason != "" || k.CheckScope(ScopeAdmin|ScopeReplay|ScopeCollect) != "" {
		t.Errorf("admin key: %q", reason)
	}
	if k, reason := v.Authenticate(keys.WebKey); reason != "" || k.CheckScope(ScopeCollect) != "" || k.CheckScope(ScopeRead) == "" || k.CheckOrigin("https://any.example") != "" {
		t.Errorf("web key: %q", reason)
	}
	e1, _ := s.view.Epoch()
	e2, ok := v.Epoch()
	if !ok || e1 != e2 || e2.Number != 1 || e2.Topic != eventlog.EventsTopic || e2.Partitions != 2 || e2.ID == "" {
		t.Errorf("epoch is %+v, was %+v", e2, e1)
	}
}

func TestViewOutlivesARestartOfTheBroker(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	b, err := broker.Open(broker.Config{Dir: dir}, log)
	must(t, err)
	c := clientOf(t, b.Addrs())
	s := runStore(t, c)
	newWorkspace(t, s, "shop")
	must(t, s.Write(t.Context(), "shop", creatorRecord(1, "before")))
	b.Close()
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.Write(short, "shop", creatorRecord(2, "lost")); err == nil {
		t.Error("a write without a broker succeeded")
	}
	b, err = broker.Open(broker.Config{Dir: dir, Addr: b.Addrs()[0]}, log)
	must(t, err)
	t.Cleanup(func() { b.Close() })
	if got, _ := s.view.Creator("shop", "mia"); got.GetName() != "before" {
		t.Errorf("view forgot: %v", got)
	}
	must(t, s.Write(t.Context(), "shop", creatorRecord(2, "after")))
	fresh := runView(t, c)
	if got, _ := fresh.Creator("shop", "mia"); got.GetName() != "after" || got.GetVersion() != 2 {
		t.Errorf("a new view shows %v", got)
	}
}

func TestAnotherMasterKeyIsRefusedAtStart(t *testing.T) {
	c := testClient(t)
	newWorkspace(t, runStore(t, c), "shop")
	v, err := NewView(c, testMaster(t, 2), prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := v.Run(ctx); !errors.Is(err, privacy.ErrWrongMasterKey) {
		t.Errorf("run ended with %v, want ErrWrongMasterKey", err)
	}
	if v.Ready() {
		t.Error("view is ready")
	}
}

func TestConcurrentBootstrapsMakeOneSetOfKeys(t *testing.T) {
	c := testClient(t)
	stores := []*Store{runStore(t, c), runStore(t, c), runStore(t, c)}
	var keys [3]BootstrapKeys
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() {
			var err error
			if keys[i], err = Bootstrap(t.Context(), s, BootstrapOptions{Partitions: 2}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	given := 0
	for _, k := range keys {
		if k.AdminKey == "" {
			continue
		}
		given++
		if _, reason := stores[0].view.Authenticate(k.AdminKey); reason != "" {
			t.Errorf("admin key is refused: %s", reason)
		}
	}
	if given != 1 {
		t.Errorf("%d bootstraps returned an admin key, want 1", given)
	}
	again, err := Bootstrap(t.Context(), stores[1], BootstrapOptions{Partitions: 2, AdminKey: "another-admin-key-1234"})
	if err != nil || again != (BootstrapKeys{}) {
		t.Errorf("bootstrap of a registry in use: %+v, %v", again, err)
	}
	if _, err := Bootstrap(t.Context(), stores[1], BootstrapOptions{Partitions: 8}); err == nil {
		t.Error("another number of partitions is accepted")
	}
}

func TestGivenBootstrapKeysAreUsed(t *testing.T) {
	s := runStore(t, testClient(t))
	if _, err := Bootstrap(t.Context(), s, BootstrapOptions{Partitions: 2, AdminKey: "short"}); !errors.Is(err, privacy.ErrWeakKey) {
		t.Errorf("short key: %v, want ErrWeakKey", err)
	}
	opts := BootstrapOptions{Partitions: 2, AdminKey: "admin-key-of-the-demo", WebKey: "web-key-of-the-demo-1"}
	keys, err := Bootstrap(t.Context(), s, opts)
	if err != nil || keys.AdminKey != opts.AdminKey || keys.WebKey != opts.WebKey {
		t.Fatalf("got %+v, %v", keys, err)
	}
	for _, k := range []string{opts.AdminKey, opts.WebKey} {
		if _, reason := s.view.Authenticate(k); reason != "" {
			t.Errorf("%s: %s", k, reason)
		}
	}
}
