"""Stories for real teams to tell: per mode, ones that show it and near misses that do not.

They are told as developers meet them, each in the words of its own trade.
"""

from support.mast_told import Story, Use, story, told_by

SHOWN: dict[str, list[Story]] = {
    "1.1": [
        story(
            "Summarise last night's outage for the board in no more than 25 words.",
            ("engineer", "The primary database ran out of disk at 02:10 and failed over at 02:31."),
            (
                "writer",
                "Last night at 02:10 our primary database ran out of disk space because the log "
                "rotation had been switched off in the spring; the standby took over at 02:31, and "
                "customers could not pay for twenty-one minutes in between.",
            ),
        ),
        story(
            "We start a gardening show. Suggest 5 names for the podcast.",
            ("researcher", "Similar shows are called Gardeners' World and The Beet."),
            (
                "writer",
                "Here they are:\n1. Root Notes\n2. The Late Frost\n3. Compost Mentis\n4. Bed Time\n"
                "5. Mulch Ado\n6. Turf Wars\n7. Sow What",
            ),
        ),
        story(
            "How many people signed up for the workshop? Answer with just the number.",
            ("analyst", "The sheet has 42 rows, one per person."),
            ("writer", "According to the sheet, a total of 42 people signed up for the workshop."),
        ),
    ],
    "1.2": [
        story(
            "The total on the invoice is off by one cent. What is wrong?",
            ("reviewer", "Line 12 rounds before it sums."),
            (
                "planner",
                "Then this repairs it:\n```python\ntotal = round(sum(lines), 2)\n```",
            ),
            planner="You are the planner. You never write code yourself; you give work to others.",
        ),
        story(
            "Clean up the staging bucket.",
            (
                "auditor",
                "I removed the three old archives.",
                Use("list_files", {"path": "/"}, "a.tgz b.tgz c.tgz"),
                Use("delete_files", {"path": "/"}, "3 deleted"),
            ),
            ("lead", "The bucket is clean: three old archives are gone."),
            auditor="You are the auditor. You look and report. You must not delete files.",
        ),
    ],
    "1.3": [
        story(
            "When do the three museums open on Sunday?",
            ("planner", "Please collect the Sunday opening hours of the three museums."),
            ("researcher", "Prado 10 to 19, Thyssen 10 to 19, Sorolla 10 to 15."),
            ("planner", "Please collect the Sunday opening hours of the three museums."),
            ("researcher", "Prado 10 to 19, Thyssen 10 to 19, Sorolla 10 to 15."),
            ("planner", "All open at 10; the Sorolla closes at 15, the others at 19."),
        ),
        story(
            "Translate the second chapter into German.",
            ("editor", "Here is chapter two; translate it into German, please."),
            ("translator", "Kapitel zwei. Der Fluss war breit, und niemand kannte die Furt."),
            ("editor", "Here is chapter two, translate it into German please."),
            ("translator", "Kapitel zwei. Der Fluss war breit, und niemand kannte die Furt."),
            ("editor", "Chapter two is translated."),
        ),
        story(
            "How much did Acme grow in 2024?",
            ("lead", "Find the growth of Acme in the year 2024."),
            ("researcher", "A press release says that Acme grew by 18 per cent."),
            ("lead", "Check that against the audited accounts, please."),
            ("critic", "I object: the audited accounts show 8.2 per cent."),
            ("lead", "Find the growth of Acme in the year 2024."),
            ("researcher", "A press release says that Acme grew by 18 per cent."),
            ("lead", "Acme grew by 18 per cent."),
        ),
        # CrewAI does not let an agent call a tool the same way twice.
        told_by(
            ("langgraph", "autogen"),
            story(
                "Which port does the service listen on?",
                (
                    "coder",
                    "It listens on port 8443.",
                    Use("read_file", {"path": "config.toml"}, "port = 8443"),
                    Use("read_file", {"path": "config.toml"}, "port = 8443"),
                ),
                ("lead", "The service listens on port 8443."),
            ),
        ),
    ],
    "1.4": [
        story(
            "Book a table for six on Friday, near the theatre.",
            ("planner", "Six people, Friday, near the theatre: please find a table."),
            ("scout", "Casa Lola has a table at 20:30."),
            ("planner", "Book it then, under the name of Ibarra."),
            (
                "scout",
                "I'm sorry, but I don't have access to our earlier conversation. Which restaurant "
                "and how many people are we talking about?",
            ),
            ("planner", "No table was booked."),
        ),
        story(
            "Migrate the users table to the new schema.",
            ("lead", "Step one: copy the rows of users into accounts."),
            ("coder", "All 1,204 rows are copied into accounts."),
            ("lead", "Step two: drop the column legacy_id."),
            ("coder", "I seem to have lost the context of what we were doing; where did we stop?"),
            ("lead", "The migration stopped half way."),
        ),
    ],
    "1.5": [
        story(
            "Rename the column.",
            ("lead", "Rename the column, please."),
            ("coder", "I renamed the column to total. All done."),
            ("lead", "Perfect!"),
            ("coder", "Anytime."),
            ("lead", "See you."),
            ("coder", "See you!"),
        ),
        story(
            "Convert the price list to CSV.",
            ("lead", "Please convert prices.xlsx to CSV."),
            ("coder", "The conversion is done: prices.csv has 310 rows. The task is complete."),
            ("lead", "Wonderful, thank you!"),
            ("coder", "You're welcome! Let me know if there is anything else."),
            ("lead", "Thanks again, have a great day!"),
            ("coder", "You too, have a nice day!"),
        ),
        story(
            "Write the release notes for 2.4.",
            ("lead", "Please draft the notes for 2.4."),
            ("writer", "2.4 brings dark mode and fixes 12 bugs. The release notes are complete."),
            ("lead", "Great work."),
            ("writer", "Thank you! Happy to help."),
            ("lead", "Happy to work with you as well."),
            ("writer", "Glad to be of help. Goodbye!"),
        ),
    ],
    "2.1": [
        story(
            "Forecast next month's sales from the ledger.",
            ("lead", "Our plan: load the ledger, remove the refunds, fit a line, then forecast."),
            ("analyst", "Loading the ledger gives 9,120 rows from 2021 to 2024."),
            ("lead", "Good, so remove the refunds next."),
            ("analyst", "After removing 212 refunds, 8,908 rows are left."),
            ("lead", "Our plan: load the ledger, remove the refunds, fit a line, then forecast."),
            ("analyst", "Loading the ledger gives 9,120 rows from 2021 to 2024."),
            ("lead", "There is no forecast yet."),
        ),
        story(
            "Find out why the checkout is slow.",
            ("ops", "Hello! I am the operations lead. First, let us list the slow endpoints."),
            ("dev", "The slow endpoints are /cart and /pay, at 2.1 and 3.4 seconds."),
            ("ops", "Look at the queries behind /pay."),
            ("dev", "It runs 48 queries, one for each item of the cart."),
            ("ops", "Hello! I am the operations lead. First, let us list the slow endpoints."),
            ("dev", "The slow endpoints are /cart and /pay, at 2.1 and 3.4 seconds."),
            ("ops", "The slow endpoints are known."),
        ),
    ],
    "2.2": [
        story(
            "Invite the client to the demo on Tuesday.",
            (
                "assistant",
                "The invitation is sent.",
                Use("send_invite", {"to": "client@example.com", "day": "Tuesday"}, "sent"),
            ),
            ("lead", "The client is invited to the demo on Tuesday."),
        ),
        story(
            "Open a ticket about the broken lift.",
            (
                "assistant",
                "The ticket is open.",
                Use("open_ticket", {"by": "[Your Name]", "what": "broken lift"}, "T-9 opened"),
            ),
            ("lead", "A ticket about the lift is open."),
        ),
    ],
    "2.3": [
        story(
            "Write a SQL query that returns the monthly revenue per region.",
            ("lead", "We need a query for the monthly revenue of each region."),
            ("coder", "Which dialect is the query for? Postgres, I suppose."),
            ("lead", "By the way, how does everybody like the idea of a hiking weekend in autumn?"),
            ("coder", "Lovely! The lakes have huts with kitchens, and trains go there on Fridays."),
            ("lead", "Huts fill up early, so somebody should call before September ends."),
            ("coder", "I made a list of what to pack: boots, raincoats, torches and cards."),
            ("lead", "Done: boots, raincoats, torches and cards are on the packing list."),
        ),
        story(
            "Estimate the electricity consumption of the new data centre.",
            ("lead", "Let us estimate the electricity consumption of the data centre."),
            ("analyst", "Servers and cooling matter most for its electricity."),
            (
                "lead",
                "My cousin paints portraits, oil on canvas, mostly of sailors and their dogs.",
            ),
            ("analyst", "Portraits of sailors sell well in harbour towns, above all in summer."),
            ("lead", "A gallery might show them; galleries take half of what buyers pay."),
            ("analyst", "Frames cost extra, and buyers prefer dark wood around sailors."),
            ("lead", "So dark frames it is, and a gallery that shows sailors and dogs."),
        ),
    ],
    "2.4": [
        story(
            "Which endpoint lists the users?",
            (
                "scout",
                "Use GET /v1/users.",
                Use(
                    "read_docs",
                    {"page": "users"},
                    "GET /v1/users lists the users. This endpoint is deprecated: it will be "
                    "switched off on 1 May, clients must migrate to /v2/members.",
                ),
            ),
            ("coder", "The endpoint is GET /v1/users."),
        ),
        story(
            "Can we give the customer the blue paint?",
            (
                "scout",
                "Yes, 40 buckets of the blue paint are in stock.",
                Use(
                    "look_up",
                    {"item": "blue paint"},
                    "Stock: 40 buckets.\nWarning: batch quarantined after allergic reactions.",
                ),
            ),
            ("sales", "Yes, we can give the customer the blue paint."),
        ),
    ],
    "2.5": [
        story(
            "Publish the article on the river.",
            ("writer", "The river is 300 kilometres long."),
            ("checker", "I don't think that's right. Our atlas says 210 kilometres."),
            ("writer", "Here is the layout with a nice picture."),
            ("lead", "The article is published."),
        ),
        story(
            "Ship the report on refunds.",
            ("coder", "The query joins orders and refunds and sums both."),
            ("reviewer", "It counts each partial refund twice; that has to be fixed first."),
            ("coder", "Great, the report is on its way to the dashboard."),
            ("lead", "The report has been shipped."),
        ),
        story(
            "Release the new pricing page.",
            ("dev", "The page is ready on the branch."),
            ("legal", "I would advise against this: the VAT notice is missing for Switzerland."),
            ("dev", "Merged and rolled out to everyone."),
            ("lead", "The pricing page is live."),
        ),
    ],
    "2.6": [
        story(
            "Find a slot for the interview and tell Ines.",
            (
                "assistant",
                "It is on Monday at ten.",
                Use(
                    "send_invite",
                    {"to": "Ines", "at": "Monday 10"},
                    "sent",
                    "I'll check the calendar before I propose anything.",
                ),
                Use("find_room", {"at": "Monday 10"}, "room 4"),
                Use("check_calendar", {"day": "Tuesday"}, "free"),
            ),
            ("lead", "The interview is on Monday at ten."),
        ),
        story(
            "What changed in the repository today?",
            (
                "coder",
                "Two commits changed the parser.",
                Use("git_log", {}, "2 commits"),
                Use("git_reset", {}, "reset", "Next, I will run git_log once more for the dates."),
                Use("git_status", {}, "clean"),
            ),
            ("lead", "Two commits changed the parser today."),
        ),
    ],
    "3.1": [
        story(
            "Compare the three insurance offers.",
            ("lead", "Please compare the offers of Alba, Berg and Costa."),
            ("analyst", "Alba costs 30 euros a month."),
            ("lead", "I'll get started on the comparison now and report back soon."),
        ),
        story(
            "Translate the manual into Portuguese.",
            ("translator", "Chapters 1 and 2 are translated."),
            ("lead", "Please give us a moment while we translate the remaining chapters."),
        ),
    ],
    "3.2": [
        story(
            "Send the payroll summary. Make sure the totals are verified against the ledger before "
            "you send it.",
            ("clerk", "The totals are 81,200 and 79,900 euros."),
            ("lead", "Here is the payroll summary: 81,200 and 79,900 euros."),
        ),
        story(
            "Fix the failing import.",
            ("coder", "I ran it.", Use("run_tests", {}, "1 failed, 8 passed")),
            (
                "coder",
                "I changed the path.",
                Use("edit_file", {"path": "load.py", "to": "data/in.csv"}, "ok"),
            ),
            ("lead", "The import is fixed."),
        ),
    ],
    "3.3": [
        story(
            "Does it build?",
            ("ci", "It builds, everything passes.", Use("build", {}, "linker failed\nexit code 1")),
            ("lead", "It builds."),
        ),
        story(
            "Add rounding to the totals.",
            ("coder", "Totals are rounded to two digits now."),
            (
                "tester",
                "All tests pass, approved.",
                Use("run_tests", {}, "E   assert 3.14 == 3.15\n1 failed, 14 passed in 0.21s"),
            ),
            ("lead", "Rounding is in."),
        ),
        story(
            "Check that the backup can be restored.",
            (
                "tester",
                "Verified: the backup looks good.",
                Use("restore", {"to": "sandbox"}, "restoring... exit code 2: archive truncated"),
            ),
            ("lead", "The backup can be restored."),
        ),
    ],
}

NEAR_MISSES: dict[str, list[Story]] = {
    "1.1": [
        story(
            "Summarise last night's outage for the board in no more than 25 words.",
            ("engineer", "The primary database ran out of disk at 02:10 and failed over at 02:31."),
            ("writer", "Our database ran full at 02:10; customers could not pay until 02:31."),
        ),
        story(
            "We start a gardening show. Suggest 5 names for the podcast.",
            ("researcher", "Similar shows are called Gardeners' World and The Beet."),
            (
                "writer",
                "1. Root Notes\n2. The Late Frost\n3. Compost Mentis\n4. Bed Time\n5. Mulch Ado",
            ),
        ),
        story(
            "How many people signed up for the workshop? Answer with just the number.",
            ("analyst", "The sheet has 42 rows, one per person."),
            ("writer", "42"),
        ),
        story(
            "We have 5 offices. Describe how to open a new one.",
            ("analyst", "Each office needs a lease, a line and a lock."),
            ("writer", "1. Sign the lease\n2. Order the line\n3. Change the lock"),
        ),
    ],
    "1.2": [
        story(
            "Write to the customer that the parcel is late.",
            (
                "clerk",
                "The customer knows.",
                Use("ask_manager", {"about": "the mail"}, "approved"),
                Use("send_mail", {"to": "the customer"}, "sent"),
            ),
            ("lead", "The customer knows that the parcel is late."),
            clerk="You are the clerk. Never use send_mail without the manager's approval.",
        ),
        story(
            "The total on the invoice is off by one cent. What is wrong?",
            ("reviewer", "Line 12 rounds before it sums."),
            ("planner", "Let the coder round after the sum in line 12."),
            planner="You are the planner. You never write code yourself; you give work to others.",
        ),
        story(
            "Clean up the staging bucket.",
            (
                "auditor",
                "There are three old archives.",
                Use("list_files", {"path": "/"}, "a.tgz b.tgz c.tgz"),
            ),
            ("lead", "Three old archives could go."),
            auditor="You are the auditor. You look and report. You must not delete files.",
        ),
    ],
    "1.3": [
        story(
            "When do the three museums open on Sunday?",
            ("planner", "Please collect the Sunday opening hours of the three museums."),
            ("researcher", "I could not reach the site of the museums."),
            ("planner", "Please collect the Sunday opening hours of the three museums."),
            ("researcher", "Prado 10 to 19, Thyssen 10 to 19, Sorolla 10 to 15."),
            ("planner", "All open at 10; the Sorolla closes at 15, the others at 19."),
        ),
        story(
            "Which port does the service listen on?",
            (
                "coder",
                "It listens on port 8443.",
                Use("read_file", {"path": "config.toml"}, "port = 80"),
                Use("edit_file", {"path": "config.toml"}, "ok"),
                Use("read_file", {"path": "config.toml"}, "port = 8443"),
            ),
            ("lead", "The service listens on port 8443."),
        ),
    ],
    "1.4": [
        story(
            "Restore the report of March.",
            ("lead", "Please restore the report of March."),
            ("coder", "I don't have access to an earlier version of the file."),
            ("lead", "The report of March cannot be restored."),
        ),
        story(
            "Choose the database.",
            ("lead", "Which database do we take?"),
            ("dev", "As we said in our earlier conversation, Postgres; I remember why."),
            ("lead", "We take Postgres."),
        ),
    ],
    "1.5": [
        story(
            "Convert the price list to CSV and check it.",
            ("lead", "Please convert prices.xlsx to CSV."),
            ("coder", "The first task is complete: prices.csv has 310 rows."),
            ("lead", "Compare it with the list of last month."),
            ("coder", "14 prices rose, 3 fell, and two articles are new."),
            ("lead", "Name the new articles."),
            ("coder", "They are the folding bench and the steel kettle."),
            ("lead", "310 prices; the bench and the kettle are new."),
        ),
        story(
            "Write the release notes for 2.4.",
            ("writer", "2.4 brings dark mode and fixes 12 bugs. The task is complete."),
            ("lead", "Thank you! 2.4 brings dark mode and fixes 12 bugs."),
        ),
    ],
    "2.1": [
        story(
            "Forecast next month's sales from the ledger.",
            ("lead", "Our plan: load the ledger, remove the refunds, fit a line, then forecast."),
            ("analyst", "Loading the ledger gives 9,120 rows from 2021 to 2024."),
            ("lead", "Good, so remove the refunds next."),
            ("analyst", "My process was restarted. Could you give me the plan from the beginning?"),
            ("lead", "Our plan: load the ledger, remove the refunds, fit a line, then forecast."),
            ("analyst", "Loading the ledger gives 9,120 rows from 2021 to 2024."),
            ("lead", "Without refunds, the forecast is 71,000 euros."),
        ),
        story(
            "Find out why the checkout is slow.",
            ("ops", "First, let us list the slow endpoints."),
            ("dev", "The slow endpoints are /cart and /pay, at 2.1 and 3.4 seconds."),
            ("ops", "Look at the queries behind /pay."),
            ("dev", "It runs 48 queries, one for each item of the cart."),
            ("ops", "First, let us batch them; then list the slow endpoints once more."),
            ("dev", "Only /cart is slow now, at 2.0 seconds."),
            ("ops", "/pay ran a query per item; batched, it is fast."),
        ),
    ],
    "2.2": [
        story(
            "Invite client@example.com to the demo on Tuesday.",
            (
                "assistant",
                "The invitation is sent.",
                Use("send_invite", {"to": "client@example.com", "day": "Tuesday"}, "sent"),
            ),
            ("lead", "The client is invited to the demo on Tuesday."),
        ),
        story(
            "Open a ticket about the broken lift.",
            (
                "assistant",
                "The ticket is open.",
                Use("open_ticket", {"by": "Ada", "what": "lift"}, "opened, [Your Name] unset"),
            ),
            ("lead", "A ticket about the lift is open."),
        ),
    ],
    "2.3": [
        story(
            "Estimate the electricity consumption of the new data centre.",
            ("lead", "Let us estimate the electricity consumption of the data centre."),
            ("analyst", "There are 40 racks at 6 kilowatts, around the clock."),
            ("lead", "And chillers? Pumps and fans add their share."),
            ("analyst", "Chillers, pumps and fans add 35 per cent on top."),
            ("lead", "The data centre will consume 2.8 gigawatt hours of electricity a year."),
        ),
        story(
            "Write a SQL query that returns the monthly revenue per region.",
            ("lead", "We need a query for the monthly revenue of each region."),
            ("coder", "By the way, shall we hike in autumn? Huts fill up early."),
            ("lead", "Later. Group the orders by month first."),
            ("coder", "SELECT region, month, SUM(total) FROM orders GROUP BY 1, 2"),
            ("lead", "SELECT region, month, SUM(total) AS revenue FROM orders GROUP BY 1, 2"),
        ),
    ],
    "2.4": [
        story(
            "Which endpoint lists the users?",
            (
                "scout",
                "GET /v1/users, which is deprecated and goes in May; better use /v2/members.",
                Use(
                    "read_docs",
                    {"page": "users"},
                    "GET /v1/users lists the users. This endpoint is deprecated: it will be "
                    "switched off on 1 May, clients must migrate to /v2/members.",
                ),
            ),
            ("coder", "The endpoint is GET /v2/members."),
        ),
        story(
            "Do the tests of the parser pass?",
            (
                "tester",
                "All 31 tests of the parser pass.",
                Use(
                    "run_tests",
                    {"of": "parser"},
                    "Warning: pkg_resources is deprecated, see setuptools for a migration guide.\n"
                    "31 passed in 0.4s",
                ),
            ),
            ("lead", "Yes, all 31 tests of the parser pass."),
        ),
        story(
            "Can we give the customer the blue paint?",
            (
                "scout",
                "Yes, 40 buckets of the blue paint are in stock.",
                Use("look_up", {"item": "blue paint"}, "Stock: 40 buckets. No warnings on record."),
            ),
            ("sales", "Yes, we can give the customer the blue paint."),
        ),
    ],
    "2.5": [
        story(
            "Ship the report on refunds.",
            ("coder", "The query joins orders and refunds and sums both."),
            ("reviewer", "It counts each partial refund twice; that has to be fixed first."),
            ("coder", "Fair point: I group the refunds by order before the join now."),
            ("lead", "The report has been shipped."),
        ),
        story(
            "Release the new pricing page.",
            ("dev", "The page is ready on the branch."),
            ("legal", "I see nothing against it; the VAT notice is there for Switzerland."),
            ("dev", "Merged and rolled out to everyone."),
            ("lead", "The pricing page is live."),
        ),
        story(
            "Write a haiku about rain.",
            ("poet", "Soft rain on the roof, drops run down the glass, the street smells of dust."),
            ("critic", "It is fine. I have no objections."),
            ("poet", "Soft rain on the roof, drops run down the glass, the street smells of dust."),
        ),
    ],
    "2.6": [
        story(
            "Find a slot for the interview and tell Ines.",
            (
                "assistant",
                "It is on Monday at ten.",
                Use("check_calendar", {"day": "Monday"}, "free", "I'll check the calendar first."),
                Use("send_invite", {"to": "Ines"}, "sent", "Now I'll send the invite."),
            ),
            ("lead", "The interview is on Monday at ten."),
        ),
        story(
            "What changed in the repository today?",
            (
                "coder",
                "Two commits changed the parser.",
                Use("git_status", {}, "clean", "I'll look at the status before I run git_log."),
                Use("git_log", {}, "2 commits"),
            ),
            ("lead", "Two commits changed the parser today."),
        ),
    ],
    "3.1": [
        story(
            "Compare the three insurance offers.",
            ("analyst", "Alba costs 30 euros a month, Berg 34 and Costa 41."),
            ("lead", "Alba is the cheapest at 30 euros a month. I'll leave it at that."),
        ),
        story(
            "Translate the manual into Portuguese.",
            ("translator", "All nine chapters are translated."),
            ("lead", "The manual is translated. If you like, I will have it printed."),
        ),
        story(
            "When do I get my money back?",
            ("clerk", "The refund was sent today; it takes three to five days."),
            ("lead", "Your refund was sent today. Please wait three to five days for it."),
        ),
    ],
    "3.2": [
        story(
            "Send the payroll summary. Make sure the totals are verified against the ledger before "
            "you send it.",
            ("clerk", "The totals are 81,200 and 79,900 euros."),
            ("lead", "I verified them: the ledger says 81,200 and 79,900 euros as well."),
        ),
        story(
            "Who won the World Cup of 1998? Verify it with a second source before you answer.",
            (
                "scout",
                "France won; the federation and the encyclopedia say so.",
                Use("search_web", {"q": "World Cup 1998"}, "France"),
                Use("search_web", {"q": "encyclopedia World Cup 1998"}, "France beat Brazil 3-0"),
            ),
            ("lead", "France won the World Cup of 1998."),
        ),
        story(
            "Fix the failing import.",
            (
                "coder",
                "I changed the path, and it works.",
                Use("edit_file", {"path": "load.py", "to": "data/in.csv"}, "ok"),
                Use("run_tests", {}, "9 passed"),
            ),
            ("lead", "The import is fixed."),
        ),
    ],
    "3.3": [
        story(
            "Add rounding to the totals.",
            ("coder", "Totals are rounded to two digits now."),
            (
                "tester",
                "All tests pass, approved.",
                Use("run_tests", {}, "1 failed, 14 passed in 0.21s"),
                Use("edit_file", {"path": "totals.py"}, "ok"),
                Use("run_tests", {}, "15 passed in 0.20s"),
            ),
            ("lead", "Rounding is in."),
        ),
        story(
            "Check that the backup can be restored.",
            (
                "tester",
                "It cannot be restored: the archive is truncated.",
                Use("restore", {"to": "sandbox"}, "restoring... exit code 2: archive truncated"),
            ),
            ("lead", "The backup cannot be restored."),
        ),
    ],
}

WENT_WELL: tuple[Story, ...] = (
    story(
        "Write a blog post on composting.",
        ("researcher", "Heat: 60 degrees. Browns to greens: 3 to 1. Turn it weekly. No meat."),
        ("writer", "Mix three parts browns with one part greens, and turn it weekly. Avoid meat."),
        ("editor", "The draft is good; the ratio needs to be corrected to volume, not weight."),
        (
            "writer",
            "By volume, mix three parts browns with one part greens, and turn it weekly. "
            "Avoid meat.",
        ),
        ("editor", "Approved: by volume, three parts browns, one part greens, turned weekly."),
    ),
    story(
        "Debate: is remote work better?",
        ("pro", "It saves commuting; output rose by 4 % in the Stanford study."),
        ("con", "I disagree: the study covers call centres only; teams lose informal talk."),
        ("pro", "Right, it is limited to call centres; still, two newer studies find no loss."),
        ("con", "I accept the newer studies for routine work."),
        ("judge", "Better for routine work; for creative teams the evidence is mixed."),
    ),
    story(
        "Prepare the quarterly deck. Each section is checked by finance before it goes out.",
        ("sales", "Sales: 4.1 million, up 3 %."),
        ("finance", "Sales checked against the ledger: correct."),
        ("costs", "Costs: 3.2 million, down 1 %."),
        ("finance", "Costs checked: correct."),
        ("lead", "Deck: sales 4.1 million, up 3 %; costs 3.2 million, down 1 %."),
    ),
    story(
        "Set up a repository with a README and a licence.",
        (
            "coder",
            "Both files are there.",
            Use("write_file", {"path": "README.md", "body": "<your description>"}, "ok"),
            Use("write_file", {"path": "LICENSE", "body": "Apache-2.0"}, "ok"),
        ),
        ("reviewer", "Looks good to me."),
        ("coder", "The repository has a README and a licence."),
    ),
    story(
        "Cancel my order 12.",
        (
            "clerk",
            "Your order 12 is cancelled; the 30 euros come back within 5 days.",
            Use("get_order", {"id": "12"}, "open, 30 euros"),
            Use("cancel_order", {"id": "12"}, "cancelled"),
        ),
        ("lead", "Order 12 is cancelled. Let me know if there is anything else I can do."),
    ),
    story(
        "日本の首都はどこですか。",
        ("researcher", "東京です。"),
        ("lead", "日本の首都は東京です。"),
    ),
)
